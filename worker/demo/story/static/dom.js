// Builds and reconciles DOM nodes. Text is always text: nothing here parses HTML.

/** Make an element. `props` are attributes, `on…` are listeners, `class` is the class; children are nodes or text. */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const written = new WeakMap(); // what each element was made from

/**
 * Make `parent`'s children follow `items`: an item whose JSON is unchanged keeps its element (and the focus within it),
 * a changed one gets a new element. Returns the keys that are new and those that changed.
 */
export function sync(parent, items, { key, make }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const added = [];
  const changed = [];
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    const json = JSON.stringify(item);
    let element = known.get(id);
    known.delete(id);
    if (!element || written.get(element) !== json) {
      const fresh = make(item);
      fresh.dataset.key = id;
      written.set(fresh, json);
      (element ? changed : added).push(id);
      if (element) {
        if (place === element) place = fresh;
        swap(element, fresh);
      }
      element = fresh;
    }
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  const gone = [...known.values()];
  const focused = gone.find((element) => element.contains(document.activeElement));
  const next = focused && (focused.nextElementSibling || focused.previousElementSibling || parent.parentElement);
  for (const element of gone) element.remove();
  next?.querySelector("button, a, summary")?.focus();
  return { added, changed };
}

/** Replace an element; the focus goes to the same place in the new one. */
function swap(old, fresh) {
  const focusable = "button, a, summary";
  const index = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
  if (old.open) fresh.open = true;
  old.replaceWith(fresh);
  if (index >= 0) [...fresh.querySelectorAll(focusable)][index]?.focus();
}

/** `12 s`, `4 min`, `3 h`, `2 d`: a duration in its largest full unit. */
export function short(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (whole >= size) return `${Math.floor(whole / size)} ${unit}`;
  }
  return `${whole} s`;
}
