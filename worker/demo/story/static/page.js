// Wires the page: the state as the server tells it, the buttons, the clock.

import { el, sync } from "./dom.js";
import { LangSmith } from "./langsmith.js";
import { tick } from "./mrkdwn.js";
import { Slack } from "./slack.js";
import { Visitor } from "./visitor.js";

const $ = (id) => document.getElementById(id);
const visitor = new Visitor({ who: $("who"), form: $("command"), text: $("written") }, act, {
  played: () => slack.choose(slack.chosen),
  changed: () => slack.draw(),
});
const slack = new Slack(
  { channels: $("channels"), feed: $("feed"), empty: $("empty"), jump: $("jump"), live: $("live") },
  visitor,
);
const langsmith = new LangSmith($("queues"), act);

async function act(action) {
  const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(action) };
  const answer = await fetch("act", request).catch(() => null);
  const why = answer?.status === 409 ? await answer.text() : "Is the demo still running in its terminal?";
  $(action.user ? "slack-trouble" : "trouble").textContent = answer?.ok ? "" : `That did not work: ${why}`;
}

function show(state) {
  visitor.update(state);
  slack.update(state);
  langsmith.update(state);
  tell(state.story);
  for (const name of ["langsmith", "slack"]) standing(name, state.up[name]);
  log(state.log);
  $("unread").textContent = slack.visible() ? "" : String(slack.unread() || "");
}

function tell(story) {
  $("story-title").textContent = story.title;
  $("story-text").textContent = story.text;
  $("progress").max = story.of;
  $("progress").value = story.over ? story.of : story.step;
  $("step").textContent = story.over ? "Your turn" : story.step ? `Step ${story.step} of ${story.of}` : "Starting";
}

function standing(name, up) {
  const button = $(`${name}-switch`);
  const title = name === "slack" ? "Slack" : "LangSmith";
  button.textContent = up ? `Break ${title}` : `Heal ${title}`;
  button.dataset.do = `${up ? "break" : "heal"}-${name}`;
  $(`${name}-up`).textContent = up ? "works" : "broken";
  $(`${name}-panel`).classList.toggle("broken", !up);
}

function log(lines) {
  const list = $("log");
  const followed = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const { added } = sync(list, lines, {
    key: (line) => String(line.number),
    make: (line) => el("li", { class: line.level }, el("time", {}, line.at), el("span", {}, line.text)),
  });
  if (added.length && followed) list.scrollTop = list.scrollHeight;
}

function choose(view) {
  document.body.dataset.view = view;
  for (const tab of document.querySelectorAll("[data-tab]")) tab.setAttribute("aria-pressed", String(tab.dataset.tab === view));
  if (view === "slack" && slack.state) {
    slack.draw();
    $("unread").textContent = "";
  }
}

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => act({ do: button.dataset.do }));
}
for (const tab of document.querySelectorAll("[data-tab]")) tab.addEventListener("click", () => choose(tab.dataset.tab));

setInterval(() => {
  tick($("feed"));
  langsmith.tick();
}, 1000);

const events = new EventSource("events");
events.addEventListener("you", (event) => visitor.propose(JSON.parse(event.data)));
events.addEventListener("state", (event) => show(JSON.parse(event.data)));
events.addEventListener("open", () => document.body.classList.remove("lost"));
events.addEventListener("error", () => document.body.classList.add("lost"));
