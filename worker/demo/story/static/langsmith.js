// The LangSmith side of the page: the queues, what waits in them, and what a reviewer would do there.

import { el, short, sync } from "./dom.js";

/** Draws the queues into `list`; `act` sends what the buttons ask for. */
export class LangSmith {
  constructor(list, act) {
    this.list = list;
    this.act = act;
    this.queues = new Map();
  }

  update(state) {
    sync(this.list, state.queues.map(({ id, name, policy }) => ({ id, name, policy })), {
      key: (queue) => queue.id,
      make: (queue) => this.queue(queue),
    });
    for (const queue of state.queues) this.fill(queue);
  }

  queue(queue) {
    const parts = {
      count: el("span", { class: "count" }),
      waiting: el("ul", { class: "runs" }),
      empty: el("p", { class: "nothing" }, "Nothing waits here."),
      done: el("ul", { class: "runs" }),
      summary: el("summary"),
    };
    parts.details = el("details", {}, parts.summary, parts.done);
    this.queues.set(queue.id, parts);
    const add = { type: "button", "aria-label": `Add a run to ${queue.name}` };
    return el(
      "li",
      { class: "queue" },
      el(
        "div",
        { class: "title" },
        el("h3", {}, queue.name),
        parts.count,
        el("button", { ...add, onclick: () => this.act({ do: "add", queue: queue.id }) }, "Add a run"),
      ),
      el("p", { class: "policy" }, queue.policy),
      parts.waiting,
      parts.empty,
      parts.details,
    );
  }

  fill(queue) {
    const parts = this.queues.get(queue.id);
    parts.count.textContent = `${queue.waiting.length} waiting`;
    parts.empty.hidden = queue.waiting.length > 0;
    parts.details.hidden = queue.done.length === 0;
    parts.summary.textContent = `Reviewed (${queue.done.length})`;
    sync(parts.waiting, queue.waiting, { key: (run) => run.id, make: (run) => this.waiting(run) });
    sync(parts.done, queue.done, { key: (run) => run.id, make: (run) => this.done(run) });
    this.tick();
  }

  waiting(run) {
    const what = run.reserved ? ["release", "Release"] : ["reserve", "Reserve"];
    return el(
      "li",
      { class: "run" },
      this.name(run),
      el("span", { class: "actions" }, this.button(run, ...what), this.button(run, "complete", "Complete")),
    );
  }

  done(run) {
    return el("li", { class: "run" }, this.name(run), el("span", { class: "actions" }, this.button(run, "requeue", "Put back")));
  }

  name(run) {
    const marks = [run.reserved ? el("span", { class: "mark" }, "reserved") : null, run.error ? el("span", { class: "mark bad" }, "error") : null];
    return el(
      "span",
      { class: "name", title: run.name },
      el("b", {}, run.name),
      el("small", {}, `${run.type} · `, el("time", { "data-added": run.added }), marks),
    );
  }

  button(run, action, label) {
    const props = { type: "button", "aria-label": `${label}: ${run.name}` };
    return el("button", { ...props, onclick: () => this.act({ do: action, run: run.id }) }, label);
  }

  /** Bring the ages up to date. */
  tick(now = Date.now() / 1000) {
    for (const time of this.list.querySelectorAll("time[data-added]")) {
      const age = short(now - Number(time.dataset.added));
      if (time.textContent !== age) time.textContent = age;
    }
  }
}
