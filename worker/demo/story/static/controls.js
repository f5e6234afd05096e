// What people press in Slack: buttons, menus, and the question that some of them ask first.

import { el } from "./dom.js";

/** The node of one control; `press` gets {action, block, option} once nothing is left to ask. */
export function control(given, block, press) {
  const send = (option = "") =>
    confirmed(given.confirm, () => press({ action: given.action_id ?? "", block: block ?? "", option }));
  if (given.type === "button") {
    return el("button", { type: "button", class: given.style ?? null, onclick: () => send() }, given.text.text);
  }
  if (given.type === "overflow") return menu("⋯", "What you can do with it", given.options, send);
  if (given.type === "static_select") return menu(given.placeholder.text, given.placeholder.text, given.options, send);
  return el("span", { class: "context" }, `(a control of type ${given.type})`);
}

/** A button that opens a list of choices. */
function menu(shown, label, options, send) {
  const chosen = (option) => {
    opened.open = false;
    send(option.value);
  };
  const choices = options.map((option) =>
    el("li", {}, el("button", { type: "button", onclick: () => chosen(option) }, option.text.text)),
  );
  const opened = el("details", { class: "menu" }, el("summary", { "aria-label": label }, shown), el("ul", {}, choices));
  opened.addEventListener("toggle", () => opened.open && closeOthers(opened));
  return opened;
}

function closeOthers(menu) {
  for (const other of document.querySelectorAll(".menu[open]")) if (other !== menu) other.open = false;
}

/** Do something, after asking where a control wants that. */
function confirmed(question, act) {
  if (!question) {
    act();
    return;
  }
  const close = () => dialog.close();
  const agree = () => {
    close();
    act();
  };
  const dialog = el(
    "dialog",
    { "aria-label": question.title.text },
    el("h3", {}, question.title.text),
    el("p", {}, question.text.text),
    el(
      "p",
      { class: "actions" },
      el("button", { type: "button", onclick: close }, question.deny.text),
      el("button", { type: "button", class: "primary", onclick: agree }, question.confirm.text),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// A press beside an open menu, or Escape, closes it.
document.addEventListener("click", (event) => closeOthers(event.target.closest(".menu")));
document.addEventListener("keydown", (event) => event.key === "Escape" && closeOthers(null));
