/** A short word on what was done, above the page, so that it moves nothing. */

import { h } from "./dom.js";

const SHOWN_MS = 8_000;
const place = document.getElementById("toast");
let timer = null;

/**
 * @param {string} text
 * @param {""|"caution"|"danger"} [tone]
 */
export function say(text, tone = "") {
  clearTimeout(timer);
  place.replaceChildren(h("p", { class: `toast ${tone}` }, text));
  timer = setTimeout(() => place.replaceChildren(), SHOWN_MS);
}
