// Reads the page again every few seconds while somebody looks, and puts what is new in place of what was there.
"use strict";

const EVERY = 15000;
const REACHED = "a, summary, [tabindex]";
const live = document.getElementById("live");

async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (answer.status === 401 || answer.redirected) {
    location.reload();
    return;
  }
  if (!answer.ok) {
    throw new Error(`it answers ${answer.status}`);
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
  const old = document.getElementById("main");
  const selection = document.getSelection();
  // Not from under the hands of who is copying something: next time.
  if (selection.isCollapsed || !old.contains(selection.anchorNode)) {
    put(fresh, old);
  }
}

// What is open or scrolled stays so, and what had the focus has it.
function put(fresh, old) {
  const reached = [...old.querySelectorAll(REACHED)].indexOf(document.activeElement);
  const open = [...old.querySelectorAll("details")].map((each) => each.open);
  const scrolled = [...old.querySelectorAll(".scrolls")].map((each) => each.scrollTop);
  old.replaceWith(fresh);
  fresh.querySelectorAll("details").forEach((each, at) => { each.open = open[at] === true; });
  fresh.querySelectorAll(".scrolls").forEach((each, at) => { each.scrollTop = scrolled[at] ?? 0; });
  fresh.querySelectorAll(REACHED)[reached]?.focus({ preventScroll: true });
}

async function tick() {
  if (document.visibilityState === "visible") {
    try {
      await refresh();
      live.textContent = "";
    } catch (error) {
      live.textContent = `This page could not be read again (${error.message}): it shows what was so at ${live.dataset.at}.`;
    }
    if (live.textContent === "") {
      live.dataset.at = new Date().toLocaleTimeString();
    }
  }
  setTimeout(tick, EVERY);
}

live.dataset.at = new Date().toLocaleTimeString();
setTimeout(tick, EVERY);
