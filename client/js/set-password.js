/** The dialog in which an admin gives somebody else another password. */

import { cancelButton, open } from "./dialog.js";
import { h } from "./dom.js";
import { tick } from "./fields.js";
import { form, missing } from "./forms.js";
import { newPassword } from "./new-password.js";
import { fault } from "./password-rules.js";

/**
 * @param {Object} user whose it is
 * @param {import("./main.js").Context} context
 * @returns {Promise<{ended: number}|null>} how many sessions ended; null where nothing was done
 */
export async function setPasswordDialog(user, context) {
  const secret = newPassword("password", "New password", () => user, { id: "set-password" });
  const must = tick("mustChangePassword", "Has to be changed at the next log-in", { id: "set-must" });
  let given = null;
  let pending = null;
  const made = form({
    fields: { password: secret, mustChangePassword: must },
    text: "Set password",
    busy: "Setting…",
    idle: "All sessions of the account end.",
    signal: context.signal,
    beside: cancelButton(() => shown.close()),
    check(values) {
      const wrong = missing(values, { password: "Enter a password, or have one made up." });
      return wrong.password ? wrong : { password: fault(values.password, user) };
    },
    async send(values) {
      pending = context.call("PUT", `/users/${user.id}/password`, { body: values });
      given = await pending;
      shown.close();
    },
  });
  const shown = open(
    { title: `Another password for ${user.username}`, signal: context.signal, focus: secret.input },
    h("p", {}, "Hand it over by a way that nobody else reads: it is not shown again."),
    made.node,
  );
  await shown.closed;
  // Escape takes nothing back that was sent.
  await pending?.catch(() => {});
  return given;
}
