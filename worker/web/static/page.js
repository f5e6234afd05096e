// Reads the page again every few seconds while somebody looks, and puts what is new in place of what was there.
"use strict";

const EVERY = 15000;
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
  // What is open stays open, and who is about to press a link keeps it.
  const open = [...old.querySelectorAll("details")].map((each) => each.open);
  fresh.querySelectorAll("details").forEach((each, at) => { each.open = open[at] === true; });
  if (!old.contains(document.activeElement) && fresh.innerHTML !== old.innerHTML) {
    old.replaceWith(fresh);
  }
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
