import { h } from "../dom.js";
import { password as passwordField } from "../fields.js";
import { form, missing } from "../forms.js";
import { newPassword } from "../new-password.js";
import { fault } from "../password-rules.js";

const REQUIRED = {
  currentPassword: "Enter the password that you have now.",
  newPassword: "Enter a new password.",
  again: "Enter the new password once more.",
};

/** @param {import("../main.js").Context} context */
export async function password(context) {
  const { me, first, signal } = context;
  const current = passwordField("currentPassword", "Current password", { autocomplete: "current-password" });
  const fresh = newPassword("newPassword", "New password", () => me, { own: true });
  const again = passwordField("again", "New password once more", { autocomplete: "new-password" });

  const forced = me.mustChangePassword;
  const made = form({
    fields: { currentPassword: current, newPassword: fresh, again },
    text: "Change password",
    busy: "Changing…",
    idle: "Your other sessions end; this one goes on.",
    signal,
    parts: [
      // Password managers store a password under the name beside it.
      h("input", { type: "text", autocomplete: "username", value: me.username, hidden: true, readonly: true }),
      current.node,
      fresh.node,
      again.node,
    ],
    check,
    async send({ currentPassword, newPassword }) {
      const { ended } = await context.call("PUT", "/profile/password", {
        body: { currentPassword, newPassword },
      });
      await context.identify(signal);
      context.say(`Your password is changed. ${others(ended)}`);
      await context.onward();
    },
  });
  const heading = h("h1", { tabindex: "-1" }, forced ? "Choose a new password" : "Change your password");

  return {
    title: forced ? "Choose a new password" : "Password",
    focus: forced ? current.input : first ? null : heading,
    node: h(
      "section",
      { class: "page narrow" },
      h("div", { class: "page-head" }, heading),
      forced &&
        h(
          "p",
          { class: "note caution", id: "why", role: "status" },
          "Before anything else, choose a password of your own: the one that you have was given to you, or has to be replaced.",
        ),
      h("div", { class: "panel" }, made.node),
    ),
  };

  function check(values) {
    const wrong = missing(values, REQUIRED);
    if (!wrong.newPassword) {
      const found = fault(values.newPassword, me);
      if (found) wrong.newPassword = found;
      else if (values.newPassword === values.currentPassword) {
        wrong.newPassword = "This is the password that you have now. Choose another one.";
      }
    }
    if (!wrong.again && values.again !== values.newPassword) {
      wrong.again = "This is not the same as the new password above.";
    }
    return wrong;
  }
}

function others(count) {
  if (count === 0) return "You had no other session.";
  return count === 1 ? "Your other session has ended." : `Your ${count} other sessions have ended.`;
}
