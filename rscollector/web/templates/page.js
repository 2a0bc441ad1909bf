// The page is whole without this. Every five seconds it is asked for again, and what stands in it is exchanged.
"use strict";
const PAUSE = 5000;

async function renew() {
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PAUSE) });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const read = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = new Set([...document.querySelectorAll("details[open]")].map((each) => each.closest("tr").id));
    for (const row of read.querySelectorAll("tr[id]")) {
      if (open.has(row.id)) row.querySelector("details")?.setAttribute("open", "");
    }
    const main = document.querySelector("main");
    if (!main.contains(document.activeElement) && getSelection().isCollapsed) {
      main.replaceWith(read.querySelector("main"));
      document.title = read.title;
    }
  } catch {
    lost();
  }
}

function lost() {
  let said = document.getElementById("lost");
  if (!said) {
    said = document.createElement("p");
    said.id = "lost";
    said.className = "bad";
    said.setAttribute("role", "status");
    document.querySelector("main").prepend(said);
    said.textContent = `The agent does not answer since ${new Date().toLocaleTimeString()}; this is what it said before.`;
  }
}

setInterval(() => { if (!document.hidden) renew(); }, PAUSE);
