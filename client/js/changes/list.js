/**
 * A window on the ledger: as many lines as one reads, however many there are. While it follows,
 * what is new comes in on top; while it is held, nothing moves.
 */

import { h } from "../dom.js";

/** Lines shown while it follows, at most; and while one reads on, at most. */
const FOLLOWING = 100;
const READING = 200;
export const STEP = 50;

/**
 * @param {import("./ledger.js").Ledger} ledger
 * @param {(entry: import("./ledger.js").Entry, fresh: boolean) => HTMLElement} make
 */
export function lineList(ledger, make) {
  const node = h("ol", { class: "changes", "aria-label": "Changes, newest first" });
  /** Which of the ledger's entries is on top. */
  let top = 0;

  return { node, show, added, shift, extend, back, beyond, get top() { return top; } };

  /** Show the newest. */
  function show() {
    top = 0;
    node.replaceChildren(...ledger.entries.slice(0, FOLLOWING).map((entry) => make(entry, false)));
  }

  /** So many are new, and come in on top. */
  function added(amount) {
    const fresh = ledger.entries.slice(0, Math.min(amount, FOLLOWING)).map((entry) => make(entry, true));
    node.prepend(...fresh);
    while (node.children.length > FOLLOWING) node.lastChild.remove();
  }

  /** So many are new, and wait. */
  function shift(amount) {
    top += amount;
  }

  /** Show older ones below, as far as the ledger has them. */
  function extend() {
    const from = top + node.children.length;
    const more = ledger.entries.slice(from, from + STEP).map((entry) => make(entry, false));
    node.append(...more);
    const over = Math.max(0, node.children.length - READING);
    keepInPlace(more[0] ?? node.lastChild, () => {
      for (let each = 0; each < over; each += 1) node.firstChild.remove();
    });
    top += over;
    return more.length;
  }

  /** Show the newer ones again that went when older ones were shown. */
  function back() {
    const from = Math.max(0, top - STEP);
    const newer = ledger.entries.slice(from, top).map((entry) => make(entry, false));
    top = from;
    keepInPlace(node.firstChild, () => node.prepend(...newer));
    while (node.children.length > READING) node.lastChild.remove();
  }

  /** Whether the ledger has lines below the last one shown. */
  function beyond() {
    return top + node.children.length < ledger.entries.length;
  }
}

/** Browsers differ in what they do when something above goes. */
function keepInPlace(element, work) {
  const before = element?.getBoundingClientRect().top;
  work();
  if (element) scrollBy(0, element.getBoundingClientRect().top - before);
}
