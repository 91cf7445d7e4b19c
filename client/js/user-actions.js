/** What an admin can do to an account beside renaming it: its password, its access, its end. */

import { confirm } from "./dialog.js";
import { busyButton, h, setBusy } from "./dom.js";
import { describe } from "./messages.js";
import { setPasswordDialog } from "./set-password.js";

/**
 * @param {() => Object} current the account as it is now
 * @param {import("./main.js").Context} context
 * @param {{update: (user: Object) => void, sessionsGone: () => Promise<void>}} told
 * @returns {{node: HTMLElement, endSessions: HTMLElement, update: () => void}}
 */
export function userActions(current, context, { update, sessionsGone }) {
  const { signal, me } = context;
  const path = () => `/users/${current().id}`;
  const ask = action("", askForPassword);
  const set = action("Set a password…", setPassword);
  const access = action("", toggleAccess);
  const remove = action("Delete…", deleteUser, "danger-text");
  const endSessions = action("End all sessions", endAll).button;
  const asked = h("p", { class: "field-note" });
  const allowed = h("p", { class: "field-note" });
  const node = h(
    "div",
    { class: "actions" },
    asked,
    h("div", { class: "buttons" }, ask.button, set.button),
    allowed,
    h("div", { class: "buttons" }, access.button, remove.button),
  );
  return { node, endSessions, update: show };

  function show() {
    const { id, status, mustChangePassword } = current();
    const active = status === "active";
    asked.textContent = mustChangePassword
      ? "The password has to be changed before anything else can be done."
      : "The password may stay as it is.";
    ask.label.textContent = mustChangePassword ? "Let it stay" : "Ask for a new one";
    set.button.hidden = id === me.id;
    allowed.textContent = active ? "The account can log in." : "The account cannot log in.";
    access.label.textContent = active ? "Disable…" : "Enable";
  }

  function patch(body) {
    return context.call("PATCH", path(), { body });
  }

  async function askForPassword() {
    const user = current();
    const answer = await patch({ mustChangePassword: !user.mustChangePassword });
    update(answer);
    context.say(
      answer.mustChangePassword
        ? `${answer.username} has to change the password before doing anything else.`
        : `${answer.username} may keep the password.`,
    );
    if (answer.id === me.id) await context.reload();
  }

  async function setPassword() {
    const done = await setPasswordDialog(current(), context);
    if (!done) return;
    update(await context.call("GET", path()));
    await sessionsGone();
    context.say(`${current().username} has another password. ${sessionsEnded(done.ended)}`);
  }

  async function toggleAccess() {
    const user = current();
    if (user.status === "disabled") {
      update(await patch({ status: "active" }));
      return context.say(`${user.username} can log in again.`);
    }
    const own = user.id === me.id ? " This is your own account: you are logged out at once." : "";
    const answer = await confirm({
      title: `Disable ${user.username}?`,
      text: `All its sessions end, and nobody can log in to it until it is enabled again.${own}`,
      yes: "Disable",
      grave: true,
      signal,
      act: () => patch({ status: "disabled" }),
    });
    if (!answer) return;
    update(answer);
    context.say(`${answer.username} is disabled, and its sessions have ended.`);
    await sessionsGone();
  }

  async function deleteUser() {
    const user = current();
    const own = user.id === me.id ? " This is your own account: you are logged out at once." : "";
    const done = await confirm({
      title: `Delete ${user.username}?`,
      text: `The account ${user.username} (${user.email}) goes with all its sessions. This cannot be undone; that it happened stays on record.${own}`,
      yes: `Delete ${user.username}`,
      grave: true,
      typed: user.id === me.id || user.role === "admin" ? user.username : "",
      signal,
      act: () => context.call("DELETE", path()),
    });
    if (!done) return;
    context.say(`${user.username} is deleted.`);
    await context.go("/users");
  }

  async function endAll() {
    const user = current();
    const own = user.id === me.id ? " This one ends too: you have to log in again." : "";
    const done = await confirm({
      title: `End all sessions of ${user.username}?`,
      text: `Wherever ${user.username} is logged in, the password has to be entered again.${own}`,
      yes: "End all sessions",
      signal,
      act: () => context.call("DELETE", `${path()}/sessions`),
    });
    if (!done) return;
    context.say(sessionsEnded(done.ended));
    await sessionsGone();
  }

  /** A button that does this, and tells what went wrong. */
  function action(text, act, tone = "") {
    const made = busyButton(text, { class: `button ${tone}`, type: "button" });
    made.button.addEventListener("click", async () => {
      if (made.button.getAttribute("aria-disabled") === "true") return;
      setBusy(made.button, true);
      try {
        await act();
      } catch (error) {
        if (!signal.aborted) context.say(describe(error).text, "danger");
      } finally {
        setBusy(made.button, false);
      }
    });
    return made;
  }
}

function sessionsEnded(count) {
  if (count === 0) return "There was no session to end.";
  return count === 1 ? "One session has ended." : `${count} sessions have ended.`;
}
