// The Slack side of the page: channels, messages, threads, what was edited.

import { el, sync } from "./dom.js";
import { blocks, tick } from "./mrkdwn.js";

const ALL = "all";
const NEAR = 80; // pixels from the end that still count as being at the end

/** Draws the channels and their messages into `parts` = {channels, feed, empty, jump, live}. */
export class Slack {
  constructor(parts) {
    this.parts = parts;
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
    const roots = this.shown().filter((message) => !isReply(message) || message.broadcast);
    sync(feed, roots.map((root) => this.withReplies(root)), {
      key: (message) => message.key,
      make: (message) => this.message(message, names),
    });
    this.parts.empty.hidden = roots.length > 0;
    tick(feed);
    if (!first) this.tell(added, edited);
    if (followed && (first || added.length)) feed.scrollTop = feed.scrollHeight;
    if (!first) this.point([...edited, ...added]);
    this.drawChannels();
  }

  choose(channel) {
    this.chosen = channel;
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

  shown() {
    return this.state.messages.filter((message) => this.chosen === ALL || message.channel === this.chosen);
  }

  withReplies(root) {
    const replies = isReply(root)
      ? []
      : this.state.messages.filter((m) => isReply(m) && m.thread_ts === root.ts && m.channel === root.channel);
    return { ...root, key: id(root), replies };
  }

  names() {
    const places = this.places().map((place) => [place.id, place.name]);
    return { ...this.state.names, ...Object.fromEntries(places) };
  }

  message(message, names) {
    return el(
      "li",
      { class: `message ${this.fresh.get(message.key) ?? ""}`, id: `m-${message.key}` },
      el("span", { class: "avatar", "aria-hidden": "true" }),
      el("div", { class: "content" }, this.byline(message, names), this.body(message, names), this.thread(message, names)),
    );
  }

  byline(message, names) {
    const at = new Date(Number(message.ts) * 1000);
    return el(
      "div",
      { class: "byline" },
      el("b", {}, "Review Notifier"),
      el("span", { class: "badge" }, "app"),
      el("time", { datetime: at.toISOString() }, at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })),
      el("span", { class: "where" }, where(message.channel, names)),
    );
  }

  body(message, names) {
    const edited = message.edited ? el("span", { class: "edited" }, "(edited)") : null;
    return el("div", { class: "blocks" }, blocks(message, names), edited);
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
    sync(this.parts.channels, [all, ...channels, ...heading, ...direct], {
      key: (place) => place.id,
      make: (place) => (place.heading ? el("li", { class: "heading" }, place.heading) : this.channel(place)),
    });
  }

  channel(channel) {
    const label = channel.id === ALL || isDirect(channel.id) ? channel.name : `# ${channel.name}`;
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
    for (const message of this.state.messages) {
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
