// Runs what it is given, line by line as JSON, in a chromium: [code, arguments] → {value} or {error}.
"use strict";
const { chromium } = require("playwright-core");
const fs = require("node:fs");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--no-first-run"];
const AXE = fs.readFileSync(require.resolve("axe-core"), "utf-8");
const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
let browser, page, seen;

// A page of its own, whose requests and messages are noted.
async function open(url, options = {}, clock = false) {
  await page?.context().close();
  page = await (await browser.newContext(options)).newPage();
  if (clock) await page.clock.install();
  seen = { requests: [], messages: [] };
  page.on("request", each => seen.requests.push(each.url()));
  page.on("console", each => seen.messages.push(each.text()));
  page.on("pageerror", each => seen.messages.push(String(each)));
  await page.goto(url);
  return page;
}

// What axe finds: each fault with the place of its first example.
async function axe() {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  if (found.passes.length < 10) throw new Error("axe has hardly looked");
  return found.violations.map(each => `${each.id}: ${each.nodes[0].html}: ${each.nodes[0].failureSummary}`);
}

async function main() {
  browser = await chromium.launch({ executablePath: process.argv[2], args: FLAGS });
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    const [code, given] = JSON.parse(line);
    let answer;
    try {
      const run = new AsyncFunction("open", "axe", "page", "seen", ...Object.keys(given), code);
      answer = { value: (await run(open, axe, page, seen, ...Object.values(given))) ?? null };
    } catch (error) {
      answer = { error: String(error.stack) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await browser.close();
}

main();
