// The pages are whole without this. With it what has changed in them is exchanged, and nothing else is touched.
"use strict";
const PAUSE = 5000;
const EVENTS = new URL("api/v1/events", document.currentScript.src);
let heard = Date.now();
let asking = false, again = false;

// The source of news: calls `look` when something has changed, and now and then, for ages change all the time.
// A page that nobody sees has no stream: there are few places, and a browser has six connections to a host.
function listen(look) {
  let events = null, { since } = main(document).dataset;
  function now() {
    if (document.hidden) {
      events?.close();
      events = null;
      return;
    }
    if (!events || events.readyState === EventSource.CLOSED) {
      events = new EventSource(`${EVENTS}?since=${since}`);
      events.onmessage = each => {
        since = each.lastEventId;
        look();
      };
    }
  }
  now();
  setInterval(() => { now(); if (!document.hidden) look(); }, PAUSE);
  document.addEventListener("visibilitychange", () => { now(); if (!document.hidden) look(); });
}

// One question at a time: what has changed meanwhile is asked for afterwards.
async function look() {
  again = true;
  if (asking) return;
  asking = true;
  try {
    do {
      again = false;
      await ask();
    } while (again);
  } finally {
    asking = false;
  }
}

async function ask() {
  let fresh, why = "The agent does not answer.";
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PAUSE) });
    fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if ((!answer.ok && answer.status !== 404) || !main(fresh)) {  // a fault of ours, or a proxy's login
      why = `Something else than this page came, with status ${answer.status}.`;
      throw new Error(why);
    }
  } catch {
    say(`${why} This is what it said at ${new Date(heard).toLocaleTimeString()}, ${age()} ago.`);
    return;
  }
  heard = Date.now();
  if (!getSelection().isCollapsed) {
    say("This page stands still while text in it is selected.");
    return;
  }
  say("");
  renew(fresh);
}

function main(page) {
  return page.querySelector("main[id=rscollector]");
}

// What somebody has opened or closed stays so, and what has the focus keeps it.
function renew(fresh) {
  for (const each of document.querySelectorAll("details[id]")) {
    fresh.getElementById(each.id)?.toggleAttribute("open", each.open);
  }
  const focused = document.activeElement;
  const again = place(focused);
  exchange(main(document), main(fresh));
  document.title = fresh.title;
  if (document.activeElement === focused) return;
  const found = again?.();
  found?.focus({ preventScroll: true });
  if (found) found.scrollLeft = focused.scrollLeft;
}

// How to find an element again when what is around it has been exchanged: by the nearest id and its kind in there.
function place(element) {
  const around = element.closest("main [id]");
  if (!around) return null;
  const { id } = around, kind = element.localName;
  const number = [...around.querySelectorAll(kind)].indexOf(element);
  return () => {
    const there = document.getElementById(id);
    return number < 0 ? there : there?.querySelectorAll(kind)[number];
  };
}

// Where all children have an id they are exchanged one by one, elsewhere the whole.
function exchange(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const parts = [...fresh.children];
  if (!parts.length || ![...parts, ...old.children].every(each => each.id)) {
    old.replaceWith(fresh);
    return;
  }
  const wanted = new Set(parts.map(each => each.id));
  for (const each of [...old.children]) if (!wanted.has(each.id)) each.remove();
  const had = new Map([...old.children].map(each => [each.id, each]));
  let next = old.firstElementChild;
  for (const part of parts) {
    const here = had.get(part.id);
    if (here && here === next) next = next.nextElementSibling;
    else old.insertBefore(here ?? part, next);
    if (here) exchange(here, part);
  }
}

function age() {
  const minutes = Math.floor((Date.now() - heard) / 60000);
  return minutes ? `${minutes} min` : "less than a minute";
}

function say(text) {
  let said = document.getElementById("said");
  if (!said) {
    said = document.createElement("p");
    said.id = "said";
    said.setAttribute("role", "status");
    main(document).before(said);
  }
  said.className = text ? "box bad" : "";
  if (said.textContent !== text) said.textContent = text;
}

if (main(document)) listen(look);
