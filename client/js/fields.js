/** Fields of forms: a label, a control, what it is for, and what is wrong with it. */

import { h } from "./dom.js";

/**
 * @typedef {Object} Field
 * @property {HTMLElement} node
 * @property {HTMLInputElement|HTMLSelectElement} input
 * @property {string} text its label
 * @property {() => string} value what to send
 * @property {(message: string) => void} fail say what is wrong; "" for nothing
 * @property {(id: string) => void} describe let another element describe it too
 * @property {() => void} hide make a password that was shown unreadable again
 */

/**
 * @param {string} name its name in the API's JSON, and its id
 * @param {string} text
 * @param {Object} [attributes] those of the `input`
 * @param {{hint?: string, id?: string, value?: string}} [more] hint: what is expected, said always
 * @returns {Field}
 */
export function field(name, text, attributes = {}, { hint, id = name, value = "" } = {}) {
  const input = h("input", { id, name, required: true, ...attributes });
  input.value = value;
  return wrap(input, text, hint);
}

/**
 * @param {Array<[string, string]>} options value and text
 * @returns {Field}
 */
export function choice(name, text, options, { id = name, value = "", hint } = {}) {
  const input = h(
    "select",
    { id, name },
    ...options.map(([each, label]) => h("option", { value: each }, label)),
  );
  input.value = value;
  return wrap(input, text, hint);
}

/** A box to tick; its value is a boolean. */
export function tick(name, text, { id = name, checked = true, hint } = {}) {
  const input = h("input", { type: "checkbox", id, name });
  input.checked = checked;
  const described = hint && h("p", { class: "field-note", id: `${id}-hint` }, hint);
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  const node = h("div", { class: "field tick" }, input, h("label", { for: id }, text), described);
  return { node, input, text, value: () => input.checked, fail() {}, describe() {}, hide() {} };
}

/** A field for a password: it can be shown, and says where Caps Lock is on. */
export function password(name, text, attributes = {}, more = {}) {
  const made = field(name, text, { type: "password", ...attributes }, more);
  const show = addToggle(made);
  watchCapsLock(made);
  return { ...made, value: () => made.input.value, show: () => show(true), hide: () => show(false) };
}

function wrap(input, text, hint) {
  const { id } = input;
  const described = [...(hint ? [`${id}-hint`] : []), `${id}-error`];
  const error = h("p", { class: "field-error", id: `${id}-error` });
  const box = h("div", { class: "field-box" }, input);
  const top = h("div", { class: "field-top" }, h("label", { for: id }, text));
  const note = hint && h("p", { class: "field-note", id: `${id}-hint` }, hint);
  input.addEventListener("input", () => fail(""));
  tell();

  function tell() {
    input.setAttribute("aria-describedby", described.join(" "));
  }

  function fail(message) {
    error.textContent = message;
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  function describe(other) {
    described.unshift(other);
    tell();
  }

  const node = h("div", { class: "field" }, top, note, box, error);
  return { node, input, box, top, text, value: () => input.value.trim(), fail, describe, hide() {} };
}

/** @returns {(visible: boolean) => void} */
function addToggle({ input, box, text }) {
  const button = h("button", { class: "field-button", type: "button", "aria-controls": input.id });
  const what = text.toLowerCase();
  const show = (visible) => {
    input.type = visible ? "text" : "password";
    button.textContent = visible ? "Hide" : "Show";
    button.setAttribute("aria-label", visible ? `Hide ${what}` : `Show ${what}`);
  };
  show(false);
  button.addEventListener("click", () => show(input.type === "password"));
  box.classList.add("with-button");
  box.append(button);
  return show;
}

function watchCapsLock({ input, top }) {
  const hint = h("span", { class: "field-hint", role: "status" });
  top.append(hint);
  const look = (event) => {
    // Password managers send key events that know nothing of modifiers.
    if (!(event instanceof KeyboardEvent)) return;
    hint.textContent = event.getModifierState("CapsLock") ? "Caps Lock is on" : "";
  };
  input.addEventListener("keydown", look);
  input.addEventListener("keyup", look);
  input.addEventListener("blur", () => (hint.textContent = ""));
}
