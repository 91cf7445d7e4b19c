/** Times that say how long they are from now, and keep saying it right. */

import { h } from "./dom.js";
import { absolute, relative } from "./time.js";

const TICK_MS = 30_000;

/**
 * @param {string|null} iso RFC 3339
 * @returns {HTMLElement|null} null for no time
 */
export function moment(iso) {
  if (!iso) return null;
  return h(
    "time",
    { datetime: iso, class: "moment" },
    absolute(iso),
    " ",
    h("span", { class: "aside" }, relative(iso)),
  );
}

/** Only how long it is from now; the time itself as a title. */
export function ago(iso) {
  if (!iso) return null;
  return h("time", { datetime: iso, class: "moment", title: absolute(iso) }, h("span", {}, relative(iso)));
}

/** Renew all that are shown. */
export function renew() {
  for (const time of document.querySelectorAll("time.moment")) {
    const text = relative(time.dateTime);
    if (time.lastChild.textContent !== text) time.lastChild.textContent = text;
  }
}

setInterval(renew, TICK_MS);
