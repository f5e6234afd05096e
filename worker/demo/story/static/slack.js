// The Slack side of the page: channels, messages, threads, what was edited.

import { el, sync } from "./dom.js";
import { blocks, tick } from "./mrkdwn.js";

const ALL = "all";
const HOME = "home";
const NEAR = 80; // pixels from the end that still count as being at the end

/** Draws the channels and their messages into `parts` = {channels, feed, empty, jump, live}, as `visitor` sees them. */
export class Slack {
  constructor(parts, visitor) {
    this.parts = parts;
    this.visitor = visitor;
    this.chosen = ALL;
    this.seen = new Map();
    this.fresh = new Map();
    this.read = new Map();
    this.state = null;
    parts.jump.addEventListener("click", () => this.follow());
    parts.feed.addEventListener("scroll", () => this.atEnd() && this.hideJump());
  }

  update(state) {
    this.state = state;
    this.draw({ first: this.seen.size === 0 && state.messages.length > 0 });
  }

  draw({ first = false } = {}) {
    const { feed } = this.parts;
    const followed = first || this.atEnd();
    const names = this.names();
    const { added, edited } = this.news();
    this.fresh = new Map([...added.map((m) => [id(m), "new"]), ...edited.map((m) => [id(m), "changed"])]);
    const shown = this.chosen === HOME ? this.home() : this.roots().map((root) => this.withReplies(root));
    sync(feed, shown, { key: (message) => message.key, make: (message) => this.message(message, names) });
    this.parts.empty.hidden = shown.length > 0;
    tick(feed);
    if (!first) this.tell(added, edited);
    // An answer to what the visitor has just done is at the end.
    if ((followed && (first || added.length)) || added.some((message) => message.private)) feed.scrollTop = feed.scrollHeight;
    if (!first) this.point([...edited, ...added]);
    this.drawChannels();
  }

  choose(channel) {
    this.chosen = channel;
    // A command is written where one is; else in the first channel.
    this.visitor.channel = this.places().some((place) => place.id === channel) ? channel : this.state.channels[0].id;
    if (channel === HOME) this.visitor.openHome();
    this.seenHere();
    this.draw();
    this.parts.feed.scrollTop = this.parts.feed.scrollHeight;
  }

  unread() {
    return this.places().reduce((sum, place) => sum + this.unreadIn(place.id), 0);
  }

  /** The channels, then the people to whom the app has written. */
  places() {
    return [...this.state.channels, ...this.state.direct];
  }

  /** What is shown to everybody, and to the visitor alone, in order of time. */
  messages() {
    const alone = this.visitor.shown(this.state);
    return alone.length ? [...this.state.messages, ...alone].sort((one, other) => one.ts - other.ts) : this.state.messages;
  }

  roots() {
    const here = this.messages().filter((message) => this.chosen === ALL || message.channel === this.chosen);
    return here.filter((message) => !isReply(message) || message.broadcast);
  }

  /** The app's own page, as the visitor sees it. */
  home() {
    const page = this.state.homes[this.visitor.user] ?? [];
    return page.length ? [{ key: HOME, channel: HOME, blocks: page, text: "", home: true }] : [];
  }

  withReplies(root) {
    const replies = isReply(root)
      ? []
      : this.messages().filter((m) => isReply(m) && m.thread_ts === root.ts && m.channel === root.channel);
    return { ...root, key: id(root), replies };
  }

  names() {
    const places = this.places().map((place) => [place.id, place.name]);
    return { ...this.state.names, ...Object.fromEntries(places) };
  }

  message(message, names) {
    return el(
      "li",
      { class: `message ${message.private ? "private" : ""} ${this.fresh.get(message.key) ?? ""}`, id: `m-${message.key}` },
      el("span", { class: "avatar", "aria-hidden": "true" }),
      el("div", { class: "content" }, this.byline(message, names), this.body(message, names), this.thread(message, names)),
    );
  }

  byline(message, names) {
    if (message.home) return el("div", { class: "byline" }, el("b", {}, "Review Notifier"), el("span", { class: "where" }, "Home"));
    const at = new Date(Number(message.ts) * 1000);
    return el(
      "div",
      { class: "byline" },
      el("b", {}, "Review Notifier"),
      el("span", { class: "badge" }, "app"),
      el("time", { datetime: at.toISOString() }, at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })),
      el("span", { class: "where" }, where(message.channel, names)),
      message.private ? this.alone(message) : null,
    );
  }

  /** That nobody else sees a message, and the way to be rid of it. */
  alone(message) {
    const dismiss = el("button", { type: "button", onclick: () => this.visitor.dismiss(message) }, "Dismiss");
    return el("span", { class: "alone" }, "Only visible to you ", dismiss);
  }

  body(message, names) {
    const edited = message.edited ? el("span", { class: "edited" }, "(edited)") : null;
    const press = (pressed) => this.visitor.press(message, pressed);
    return el("div", { class: "blocks" }, blocks(message, names, press), edited);
  }

  thread(message, names) {
    if (!message.replies?.length) return null;
    const count = message.replies.length;
    return el(
      "div",
      { class: "thread" },
      el("p", { class: "count" }, `${count} ${count === 1 ? "reply" : "replies"} in the thread`),
      el("ol", {}, message.replies.map((reply) => this.message({ ...reply, key: id(reply) }, names))),
    );
  }

  drawChannels() {
    const all = { id: ALL, name: "All channels", unread: 0, chosen: this.chosen === ALL };
    const [channels, direct] = [this.state.channels, this.state.direct].map((places) =>
      places.map((place) => ({ ...place, unread: this.unreadIn(place.id), chosen: this.chosen === place.id })),
    );
    const heading = direct.length ? [{ id: "direct", heading: "Direct messages" }] : [];
    const home = { id: HOME, name: "Home of the app", about: "What waits for you", unread: 0, chosen: this.chosen === HOME };
    sync(this.parts.channels, [all, home, ...channels, ...heading, ...direct], {
      key: (place) => place.id,
      make: (place) => (place.heading ? el("li", { class: "heading" }, place.heading) : this.channel(place)),
    });
  }

  channel(channel) {
    const isNamed = channel.id === ALL || channel.id === HOME || isDirect(channel.id);
    const label = isNamed ? channel.name : `# ${channel.name}`;
    const unread = channel.unread ? el("span", { class: "unread" }, String(channel.unread)) : null;
    const press = { type: "button", "aria-pressed": String(channel.chosen), title: channel.about };
    return el("li", {}, el("button", { ...press, onclick: () => this.choose(channel.id) }, el("span", {}, label), unread));
  }

  unreadIn(channel) {
    const count = this.state.messages.filter((message) => message.channel === channel).length;
    return Math.max(0, count - (this.read.get(channel) ?? 0));
  }

  /** Whatever is shown has been read. */
  seenHere() {
    for (const channel of this.places()) {
      if (this.chosen !== ALL && this.chosen !== channel.id) continue;
      this.read.set(channel.id, this.state.messages.filter((message) => message.channel === channel.id).length);
    }
  }

  /** What is new and what was edited since the last time. */
  news() {
    const added = [];
    const edited = [];
    for (const message of this.messages()) {
      const before = this.seen.get(id(message));
      const json = JSON.stringify(message);
      if (before === undefined) added.push(message);
      else if (before !== json && message.edited) edited.push(message);
      this.seen.set(id(message), json);
    }
    if (this.visible()) this.seenHere();
    return { added, edited };
  }

  visible() {
    return this.parts.feed.offsetParent !== null;
  }

  /** Say it to those who do not see it. */
  tell(added, edited) {
    const names = this.names();
    const lines = [
      ...added.map((message) => `New in ${where(message.channel, names)}: ${headline(message)}`),
      ...edited.map((message) => `Edited in ${where(message.channel, names)}: ${headline(message)}`),
    ];
    if (lines.length) this.parts.live.textContent = lines.join(". ");
  }

  /** Offer the way to news that are out of sight. */
  point(messages) {
    const frame = this.parts.feed.getBoundingClientRect();
    for (const message of messages) {
      const element = document.getElementById(`m-${id(message)}`);
      if (!element) continue;
      const box = element.getBoundingClientRect();
      if (box.bottom > frame.top + NEAR && box.top < frame.bottom - NEAR) continue;
      this.target = element;
      this.parts.jump.textContent = message.edited ? `↑ Edited: ${headline(message)}` : `↓ New: ${headline(message)}`;
      this.parts.jump.hidden = false;
    }
  }

  follow() {
    this.target?.scrollIntoView({ block: "center", behavior: "smooth" });
    this.hideJump();
  }

  hideJump() {
    this.parts.jump.hidden = true;
  }

  atEnd() {
    const { feed } = this.parts;
    return feed.scrollHeight - feed.scrollTop - feed.clientHeight < NEAR;
  }
}

function id(message) {
  return `${message.channel}-${message.ts}`;
}

function isDirect(channel) {
  return channel.startsWith("D");
}

function where(channel, names) {
  const name = names[channel] || channel;
  return isDirect(channel) ? name : `#${name}`;
}

function isReply(message) {
  return Boolean(message.thread_ts) && message.thread_ts !== message.ts;
}

function headline(message) {
  const header = message.blocks.find((block) => block.type === "header");
  return header ? header.text.text : message.text.split("\n")[0].replace(/<[^>]*>/g, "").trim();
}
