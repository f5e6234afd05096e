// Whom the visitor plays in Slack: what this person presses and writes, and what is shown to this person alone.

import { el } from "./dom.js";

/** Plays one person; `act` sends what is done, `played` is called for another person, `changed` when less is shown. */
export class Visitor {
  constructor(parts, act, { played, changed }) {
    this.parts = parts;
    this.act = act;
    this.played = played;
    this.changed = changed;
    this.user = "";
    this.dismissed = new Set();
    parts.who.addEventListener("change", () => this.play(parts.who.value));
    parts.form.addEventListener("submit", (event) => this.write(event));
  }

  /** The person whom the server proposes; a page that comes again goes on as before. */
  propose(user) {
    this.user ||= user;
  }

  play(user) {
    this.user = user;
    this.played();
  }

  update(state) {
    if (this.parts.who.options.length !== state.people.length) {
      this.parts.who.replaceChildren(...state.people.map((one) => el("option", { value: one.id }, one.name)));
    }
    this.parts.who.value = this.user;
    this.channel ??= state.channels[0].id;
  }

  /** What is shown to this person alone, and was not dismissed. */
  shown(state) {
    const mine = state.private.filter((message) => message.user === this.user && !this.dismissed.has(message.ts));
    return mine.map((message) => ({ ...message, private: true }));
  }

  dismiss(message) {
    this.dismissed.add(message.ts);
    this.changed();
  }

  press(message, pressed) {
    this.act({ do: "press", user: this.user, channel: message.channel, ts: message.ts, ...pressed });
  }

  openHome() {
    this.act({ do: "open-home", user: this.user });
  }

  write(event) {
    event.preventDefault();
    const text = this.parts.text.value;
    this.act({ do: "write", user: this.user, channel: this.channel, text });
    this.parts.text.value = "/reviews ";
  }
}
