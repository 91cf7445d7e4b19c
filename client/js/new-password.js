/** A field for a new password, with what makes a good one, judged while it is typed. */

import { h } from "./dom.js";
import { password } from "./fields.js";
import { judge, makeUp } from "./password-rules.js";

/**
 * @param {string} name
 * @param {string} text
 * @param {() => {username: string, email: string}} account whose it is to be
 * @param {{own?: boolean, id?: string}} [options] own: for oneself; an admin may have one made up
 * @returns {import("./fields.js").Field}
 */
export function newPassword(name, text, account, { own = false, id = name } = {}) {
  const made = password(name, text, { autocomplete: "new-password" }, { id });
  const rules = h("ul", { class: "rules", id: `${id}-rules` });
  made.box.after(rules);
  made.describe(rules.id);
  made.input.addEventListener("input", show);
  show();
  if (!own) made.top.append(makeUpButton());
  return made;

  function show() {
    rules.replaceChildren(...judge(made.input.value, account()).map(rule));
  }

  function makeUpButton() {
    const button = h("button", { class: "link", type: "button" }, "Make one up");
    button.addEventListener("click", () => {
      made.input.value = makeUp();
      made.input.dispatchEvent(new Event("input"));
      // It has to be read: nobody has seen it yet.
      made.show();
      made.input.focus();
      made.input.select();
    });
    return button;
  }
}

function rule({ text, kept }) {
  const state = kept === null ? "" : kept ? "kept" : "broken";
  const said = kept === null ? "" : kept ? "Yes: " : "Not yet: ";
  return h("li", { class: state }, h("span", { class: "visually-hidden" }, said), text);
}
