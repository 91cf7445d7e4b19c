/**
 * Make an element. Text is always text, never markup.
 *
 * @param {string} tag
 * @param {Object<string, unknown>} [attributes] `on…` functions become listeners, `true` an empty
 *   attribute, `false`, `null` and `undefined` none
 * @param {...(Node|string|number|false|null|undefined)} children those of no content are left out
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child != null && child !== false && child !== "").map(toNode));
  return element;
}

/** Mark a button as busy without taking the focus from it, as `disabled` would. */
export function setBusy(button, busy) {
  button.setAttribute("aria-disabled", String(busy));
}

/** A button with room for a spinner before its text, which never moves. */
export function busyButton(text, attributes = {}) {
  const label = h("span", {}, text);
  const spinner = h("span", { class: "spinner", "aria-hidden": "true" });
  const button = h(
    "button",
    { "aria-disabled": "false", ...attributes },
    h("span", { class: "button-text" }, spinner, label),
  );
  return { button, label };
}

function toNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}
