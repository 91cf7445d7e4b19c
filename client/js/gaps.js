/** What admins see above every view while the record has gaps that nobody acknowledged. */

import { confirm } from "./dialog.js";
import { h } from "./dom.js";
import { between } from "./time.js";

const PAUSE_MS = 60_000;
const SHOWN = 3;

/**
 * @param {HTMLElement} place
 * @param {{call: Function, say: Function, signal: () => AbortSignal}} options call: as of a view, but
 *   for the whole page; signal: ends when the view does that is shown now
 * @returns {{show: (mine: boolean) => void}} mine: whether an admin is looking
 */
export function gapsBanner(place, { call, say, signal }) {
  let mine = false;
  let asked = 0;
  let known = "";
  setInterval(look, PAUSE_MS / 4);
  return { show };

  function show(isAdmin) {
    if (isAdmin !== mine) asked = 0;
    mine = isAdmin;
    if (!mine) draw([], false);
    else look();
  }

  async function look() {
    if (!mine || document.hidden || Date.now() - asked < PAUSE_MS) return;
    asked = Date.now();
    try {
      const { items, next } = await call("GET", `/gaps?open=true&limit=${SHOWN}`);
      if (mine) draw(items, next !== null);
    } catch (error) {
      // What was known stays; the views tell that nothing answers.
      if (error.name !== "ApiError") throw error;
    }
  }

  function draw(gaps, more) {
    const now = JSON.stringify([gaps, more]);
    if (now === known) return;
    known = now;
    place.replaceChildren(...(gaps.length > 0 ? [banner(gaps, more)] : []));
  }

  function banner(gaps, more) {
    return h(
      "section",
      { class: "gaps", "aria-label": "Gaps of the record" },
      h("ul", {}, ...gaps.map(item)),
      more && h("p", {}, "There are more: they show when these are acknowledged."),
    );
  }

  function item(gap) {
    const button = h("button", { class: "button small", type: "button", onclick: () => ask(gap) }, "Acknowledge…");
    return h(
      "li",
      {},
      h(
        "div",
        {},
        h("p", {}, h("strong", {}, `The record may be incomplete ${between(gap.startsAt, gap.endsAt)}`), `: ${gap.reason}.`),
        h("p", { class: "gap-detail" }, gap.detail),
        h("p", {}, "Look at the accounts and what the database’s own log has of that time; then acknowledge it."),
      ),
      button,
    );
  }

  async function ask(gap) {
    const done = await confirm({
      title: "Acknowledge this gap?",
      text: `The record may be incomplete ${between(gap.startsAt, gap.endsAt)}. It is no longer pointed out then, to anybody. That you acknowledged it, and when, goes on record.`,
      yes: "Acknowledge",
      signal: signal(),
      act: async () => {
        try {
          return await call("POST", `/gaps/${gap.id}/acknowledge`);
        } catch (error) {
          // Somebody else was faster.
          if (error.status === 409 || error.status === 404) return { id: null };
          throw error;
        }
      },
    });
    if (done === null) return;
    say(done.id === null ? "Somebody else acknowledged it before." : "Acknowledged. It is on record.");
    asked = 0;
    await look();
    (place.querySelector("button") ?? document.querySelector("main h1"))?.focus();
  }
}
