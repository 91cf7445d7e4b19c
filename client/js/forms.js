/** A form that asks the API for something: busy meanwhile, and in words where it is refused. */

import { busyButton, h, setBusy } from "./dom.js";
import { describe, refused, tooMany } from "./messages.js";

/**
 * @param {Object} options
 * @param {Object<string, import("./fields.js").Field>} options.fields by their names in the API's JSON
 * @param {string} options.text what the button does
 * @param {string} options.busy what it says meanwhile
 * @param {string} [options.idle] what stands below where there is nothing else to say
 * @param {(values: Object) => Object<string, string>} [options.check] by field, what is wrong
 * @param {(values: Object) => Promise<void>} options.send throws an ApiError where it is refused
 * @param {(error: import("./api.js").ApiError) => boolean} [options.refuse] true: it has said itself
 *   what went wrong
 * @param {AbortSignal} options.signal ends when nobody waits for it any more
 * @param {HTMLElement[]} [options.parts] what stands above the button; without it, the fields
 * @param {HTMLElement} [options.beside] another button, after this one
 */
export function form({ fields, text, busy, idle = "", check, send, refuse, signal, parts, beside }) {
  const { button, label } = busyButton(text, { class: "button main", type: "submit" });
  const slot = h("div", { class: "note slot", "aria-atomic": "true" });
  let countdown = null;
  say(idle);
  signal.addEventListener("abort", () => clearInterval(countdown));

  const node = h(
    "form",
    { method: "post", novalidate: true, onsubmit: submit },
    ...(parts ?? Object.values(fields).map((each) => each.node)),
    beside ? h("div", { class: "buttons" }, button, beside) : button,
    slot,
  );
  return { node, button, slot, say, showFields };

  async function submit(event) {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") return;
    clearInterval(countdown);
    const values = {};
    for (const [name, each] of Object.entries(fields)) {
      each.hide();
      values[name] = each.value();
    }
    say(idle);
    if (!showFields(check?.(values) ?? {})) return;

    setBusy(button, true);
    label.textContent = busy;
    try {
      await send(values);
    } catch (error) {
      if (!signal.aborted && !refuse?.(error)) fail(error);
    } finally {
      setBusy(button, false);
      label.textContent = text;
    }
  }

  function fail(error) {
    if (error.status === 429 && error.retryAfter) countDown(error.retryAfter);
    else if (error.status === 400 || error.status === 409) failFields(error);
    else {
      const told = describe(error);
      say(told.text, told.tone, told.requestId);
    }
    slot.scrollIntoView({ block: "nearest" });
  }

  function failFields(error) {
    const labels = Object.fromEntries(Object.entries(fields).map(([name, each]) => [name, each.text]));
    const { known, other } = refused(error, labels);
    say("Look at what is marked above.", "danger");
    if (!showFields(known) && !other) return;
    say(other || "Helfy does not accept this.", "danger", error.requestId);
  }

  /** @returns {boolean} true where nothing was wrong; otherwise the first wrong field has the focus */
  function showFields(errors) {
    let bad = null;
    for (const [name, shown] of Object.entries(fields)) {
      shown.fail(errors[name] ?? "");
      if (errors[name]) bad ??= shown;
    }
    bad?.input.focus();
    return bad === null;
  }

  /** @param {""|"good"|"caution"|"danger"} [tone] */
  function say(words, tone = "", requestId = "") {
    // Read out at once, unless it only says how things are.
    slot.setAttribute("aria-live", tone ? "assertive" : "off");
    slot.className = `note slot ${tone || "calm"}`;
    slot.replaceChildren(h("p", {}, words));
    if (requestId) {
      slot.append(h("p", { class: "note-aside" }, "Request ", h("code", {}, requestId)));
    }
  }

  /** The seconds are read out once; the ticking is for the eyes alone. */
  function countDown(wait) {
    const until = Date.now() + wait * 1000;
    say(tooMany(wait), "caution");
    countdown = setInterval(() => {
      const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      if (left === 0) clearInterval(countdown);
      slot.setAttribute("aria-live", left === 0 ? "assertive" : "off");
      slot.firstChild.textContent = tooMany(left);
    }, 1000);
  }
}

/** @returns {Object<string, string>} for each of these that is empty, what to enter */
export function missing(values, texts) {
  return Object.fromEntries(Object.entries(texts).filter(([name]) => values[name] === ""));
}
