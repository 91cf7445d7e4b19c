/** Dialogs: the browser's own `<dialog>`, which keeps the focus and closes on Escape. */

import { busyButton, h, setBusy } from "./dom.js";
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
 * @param {() => Promise<T>} options.act
 * @param {AbortSignal} options.signal
 * @returns {Promise<T|null>} what `act` gave, null where the user would not
 * @template T
 */
export async function confirm({ title, text, yes, grave = false, act, signal }) {
  const { button } = busyButton(yes, { class: `button main ${grave ? "grave" : ""}`, type: "button" });
  const slot = h("div", { class: "note slot calm", role: "alert" });
  let given = null;
  let pending = null;
  const cancel = cancelButton(() => shown.close());
  const shown = open(
    // On what does no harm.
    { title, signal, focus: cancel },
    h("p", {}, text),
    slot,
    h("div", { class: "buttons" }, button, cancel),
  );
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") pending = run();
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
