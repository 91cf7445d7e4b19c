/** The form in which an account's names and role are changed. */

import { confirm } from "./dialog.js";
import { choice, field } from "./fields.js";
import { form, missing } from "./forms.js";
import { nameFault, ROLES } from "./user-parts.js";

const REQUIRED = { username: "Enter a username.", email: "Enter an email address." };

/**
 * @param {Object} user as it is
 * @param {import("./main.js").Context} context
 * @param {(user: Object) => void} changed called with the account as it is then
 */
export function userForm(user, context, changed) {
  const plain = { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" };
  const fields = {
    username: field("username", "Username", plain),
    email: field("email", "Email", { ...plain, type: "email" }),
    role: choice("role", "Role", ROLES),
  };
  let before = user;
  const made = form({
    fields,
    text: "Save",
    busy: "Saving…",
    idle: "What you save is on record about a second later.",
    signal: context.signal,
    check(values) {
      const wrong = missing(values, REQUIRED);
      if (!wrong.username && nameFault(values.username)) wrong.username = nameFault(values.username);
      return wrong;
    },
    send,
  });
  update(user);
  return { node: made.node, update };

  async function send(values) {
    const body = Object.fromEntries(
      Object.entries(values).filter(([name, value]) => value !== before[name]),
    );
    if (Object.keys(body).length === 0) return made.say("Nothing was changed.", "good");
    const act = () => context.call("PATCH", `/users/${before.id}`, { body });
    const own = before.id === context.me.id && "role" in body;
    const answer = own ? await giveUp(act) : await act();
    if (!answer) return;
    update(answer, true);
    changed(answer);
    made.say("Saved.", "good");
    if (answer.id !== context.me.id) return;
    await context.identify(context.signal);
    if (own) await context.reload();
  }

  function giveUp(act) {
    return confirm({
      title: "Give up being an admin?",
      text: "This is your own account. As a user you see accounts, changes and status no more, and only another admin can make you one again.",
      yes: "Give it up",
      grave: true,
      signal: context.signal,
      act,
    });
  }

  /** Show the account as it is now; what was typed and is not saved stays. */
  function update(now, saved = false) {
    for (const [name, each] of Object.entries(fields)) {
      if (saved || each.input.value === "" || each.value() === before[name]) each.input.value = now[name];
    }
    before = now;
  }
}
