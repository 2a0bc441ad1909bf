// The page is whole without this. Every five seconds it is asked for again, and what stands in it is exchanged.
"use strict";
const PAUSE = 5000;
let silent = "";

async function renew() {
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PAUSE) });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const read = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!read.querySelector("main > h1")) throw new Error("somebody else's page, such as a proxy's login");
    silent = "";
    exchange(read);
  } catch {
    silent ||= `The agent does not answer since ${new Date().toLocaleTimeString()}; this is what it said before.`;
    say(silent);
  }
}

// What is open stays open, and what has the focus keeps it; a text that somebody selects stays as it is.
function exchange(read) {
  if (!getSelection().isCollapsed) {
    say("This page stands still while text in it is selected.");
    return;
  }
  for (const each of document.querySelectorAll("details[open]")) same(each, read)?.setAttribute("open", "");
  const focused = document.activeElement;
  const next = document.querySelector("main").contains(focused) ? same(focused, read) : null;
  document.querySelector("main").replaceWith(read.querySelector("main"));
  document.title = read.title;
  next?.focus({ preventScroll: true });
  if (next) next.scrollLeft = focused.scrollLeft;
}

// The first of its kind in the same row of another page, or above the table.
function same(element, read) {
  const row = element.closest("tr");
  return (row ? read.getElementById(row.id) : read)?.querySelector(element.localName);
}

function say(text) {
  let said = document.getElementById("said");
  if (!said) {
    said = document.createElement("p");
    said.id = "said";
    said.className = "bad";
    said.setAttribute("role", "status");
    document.querySelector("main").prepend(said);
  }
  if (said.textContent !== text) said.textContent = text;
}

setInterval(() => { if (!document.hidden) renew(); }, PAUSE);
document.addEventListener("visibilitychange", () => { if (!document.hidden) renew(); });
