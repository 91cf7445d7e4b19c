/** Dialogs: the browser's own `<dialog>`, which keeps the focus and closes on Escape. */

import { busyButton, h, setBusy } from "./dom.js";
import { field } from "./fields.js";
import { describe } from "./messages.js";

let count = 0;

/**
 * Show a dialog over the page; it goes with the view.
 *
 * @param {{title: string, signal: AbortSignal, focus?: HTMLElement}} options
 * @param {...Node} content
 * @returns {{node: HTMLDialogElement, close: () => void, closed: Promise<void>}}
 */
export function open({ title, signal, focus }, ...content) {
  const id = `dialog-${++count}`;
  const node = h(
    "dialog",
    { class: "dialog panel", "aria-labelledby": id },
    h("h2", { id }, title),
    ...content,
  );
  const close = () => node.close();
  const closed = new Promise((resolve) => {
    node.addEventListener("close", () => {
      node.remove();
      resolve();
    });
  });
  signal.addEventListener("abort", close);
  document.body.append(node);
  node.showModal();
  focus?.focus();
  return { node, close, closed };
}

/** A button that closes the dialog and does nothing. */
export function cancelButton(close, text = "Cancel") {
  return h("button", { class: "button", type: "button", onclick: () => close() }, text);
}

/**
 * Ask before something is done that cannot be taken back, and do it.
 *
 * @param {Object} options
 * @param {string} options.title a question that names what it is about
 * @param {string} options.text what follows from it
 * @param {string} options.yes what the button does
 * @param {boolean} [options.grave] whether it cannot be undone
 * @param {string} [options.typed] what has to be typed first
 * @param {() => Promise<T>} options.act
 * @param {AbortSignal} options.signal
 * @returns {Promise<T|null>} what `act` gave, null where the user would not
 * @template T
 */
export async function confirm({ title, text, yes, grave = false, typed = "", act, signal }) {
  const { button } = busyButton(yes, { class: `button main ${grave ? "grave" : ""}`, type: "button" });
  const slot = h("div", { class: "note slot calm", role: "alert" });
  let given = null;
  let pending = null;
  const cancel = cancelButton(() => shown.close());
  const attributes = { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" };
  const proof = typed ? field("confirmation", `Type ${typed} to confirm`, attributes) : null;
  const shown = open(
    // On what does no harm.
    { title, signal, focus: proof ? proof.input : cancel },
    h("p", {}, text),
    proof && proof.node,
    slot,
    h("div", { class: "buttons" }, button, cancel),
  );
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    if (proof && proof.value().trim() !== typed) {
      proof.fail(`Type ${typed}.`);
      proof.input.focus();
      return;
    }
    proof?.fail("");
    pending = run();
  });
  proof?.input.addEventListener("keydown", ({ key }) => {
    if (key === "Enter") button.click();
  });
  await shown.closed;
  // Escape takes nothing back that was sent.
  await pending;
  return given;

  async function run() {
    setBusy(button, true);
    try {
      given = await act();
      shown.close();
    } catch (error) {
      if (!signal.aborted) tell(error);
    } finally {
      setBusy(button, false);
    }
  }

  function tell(error) {
    const { text, tone } = describe(error);
    slot.className = `note slot ${tone}`;
    slot.replaceChildren(h("p", {}, text));
  }
}
