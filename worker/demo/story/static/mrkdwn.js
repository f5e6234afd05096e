// Renders Slack's mrkdwn and Block Kit as DOM nodes. Text is always text, links are http(s) only.

import { control } from "./controls.js";
import { el } from "./dom.js";

const TOKEN =
  /```([^`]+)```|`([^`\n]+)`|<([^<>\n]+)>|(?<![\p{L}\p{N}])([*_~])(?!\s)((?:<[^<>\n]*>|[^<\n])+?)(?<!\s)\4(?![\p{L}\p{N}])/gu;
const EMPHASIS = { "*": "strong", _: "em", "~": "s" };
const UNITS = [
  [31536000, "year"],
  [2592000, "month"],
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
];

/** The nodes of one mrkdwn text. `names` maps the ids of people and groups to what Slack shows for them. */
export function mrkdwn(text, names) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    nodes.push(...plain(text.slice(at, match.index)));
    const [whole, block, code, reference, mark, inner] = match;
    if (block !== undefined) nodes.push(el("pre", {}, decode(block)));
    else if (code !== undefined) nodes.push(el("code", {}, decode(code)));
    else if (reference !== undefined) nodes.push(refer(reference, names));
    else nodes.push(el(EMPHASIS[mark], {}, mrkdwn(inner, names)));
    at = match.index + whole.length;
  }
  nodes.push(...plain(text.slice(at)));
  return nodes;
}

/** The nodes of a message's blocks; of its text where it has none. `press` gets what is pressed in them. */
export function blocks(message, names, press) {
  if (!message.blocks.length) return [el("div", { class: "section" }, mrkdwn(message.text, names))];
  return message.blocks.map((block) => render(block, names, press));
}

/** Bring every relative date within `root` up to date. */
export function tick(root, now = Date.now() / 1000) {
  for (const time of root.querySelectorAll("time[data-unix]")) {
    const told = format(time.dataset.format, Number(time.dataset.unix), now);
    if (told !== null && time.textContent !== told) time.textContent = told;
  }
}

function render(block, names, press) {
  if (block.type === "header") return el("h4", { class: "header" }, block.text.text);
  if (block.type === "section") {
    const text = el("div", { class: "section" }, object(block.text, names));
    const beside = block.accessory && control(block.accessory, block.block_id, press);
    return beside ? el("div", { class: "row" }, text, beside) : text;
  }
  if (block.type === "actions") {
    return el("div", { class: "controls" }, block.elements.map((each) => control(each, block.block_id, press)));
  }
  if (block.type === "context") {
    return el("div", { class: "context" }, block.elements.map((part) => el("span", {}, object(part, names))));
  }
  if (block.type === "divider") return el("hr");
  return el("div", { class: "context" }, `(a block of type ${block.type})`);
}

function object(text, names) {
  return text.type === "mrkdwn" ? mrkdwn(text.text, names) : [text.text];
}

function refer(reference, names) {
  const bar = reference.indexOf("|");
  const aim = bar < 0 ? reference : reference.slice(0, bar);
  const label = bar < 0 ? "" : decode(reference.slice(bar + 1));
  if (aim.startsWith("!date^")) return date(aim, label);
  if (aim.startsWith("!subteam^")) return mention(`@${names[aim.slice(9)] || label || aim.slice(9)}`);
  if (aim.startsWith("!")) return mention(`@${aim.slice(1)}`);
  if (aim.startsWith("@")) return mention(`@${names[aim.slice(1)] || label || aim.slice(1)}`);
  if (aim.startsWith("#")) return mention(`#${label || names[aim.slice(1)] || aim.slice(1)}`);
  return link(decode(aim), label);
}

function mention(text) {
  return el("span", { class: "mention" }, text);
}

function link(aim, label) {
  let url = null;
  try {
    url = new URL(aim);
  } catch {
    return document.createTextNode(label || aim);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return document.createTextNode(label || aim);
  return el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer" }, label || aim);
}

function date(aim, fallback) {
  const [, unix, pattern] = aim.split("^");
  const seconds = Number(unix);
  const told = Number.isFinite(seconds) && pattern ? format(pattern, seconds, Date.now() / 1000) : null;
  if (told === null) return document.createTextNode(fallback);
  const iso = new Date(seconds * 1000).toISOString();
  return el("time", { datetime: iso, title: iso, "data-unix": seconds, "data-format": pattern }, told);
}

/** What Slack would show for a date; null where the pattern holds something that this page does not know. */
function format(pattern, unix, now) {
  const at = new Date(unix * 1000);
  const known = {
    ago: () => ago(now - unix),
    time: () => at.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" }),
    time_secs: () => at.toLocaleTimeString([], { hour: "numeric", minute: "2-digit", second: "2-digit" }),
    date_short_pretty: () => day(at, now) ?? at.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" }),
    date_pretty: () => day(at, now) ?? at.toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" }),
  };
  let whole = true;
  const told = pattern.replace(/\{(\w+)\}/g, (_, name) => {
    whole &&= name in known;
    return name in known ? known[name]() : "";
  });
  return whole ? told : null;
}

/** The word for a day next to this one; null for all others. */
function day(at, now) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((midnight(at) - midnight(new Date(now * 1000))) / 86400000);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days] ?? null;
}

function ago(seconds) {
  for (const [size, unit] of UNITS) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
  }
  return seconds < 5 ? "just now" : `${Math.floor(seconds / 5) * 5} seconds ago`; // in steps of 5: calm to look at
}

function plain(text) {
  return text.split("\n").flatMap((line, index) => (index ? [el("br"), decode(line)] : [decode(line)]));
}

function decode(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
