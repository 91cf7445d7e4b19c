/** What the views of accounts share. */

import { h } from "./dom.js";

export const ROLES = [["user", "User"], ["admin", "Admin"]];

let list = "#/users";

/** Remember which of the accounts were shown, for the way back. */
export function rememberList(address) {
  list = address;
}

export function accountsLink() {
  return h("a", { class: "back", href: list }, "All users");
}

/** @returns {string} what is wrong with a username, as far as it can be seen here; "" for nothing */
export function nameFault(username) {
  return username.includes("@") ? "A username has no @: that is how it is told from an email address." : "";
}

/** What is worth knowing of an account at one look. */
export function badges(user, me) {
  const shown = [
    user.id === me.id && ["You", "good"],
    [user.role === "admin" ? "Admin" : "User", ""],
    [user.status === "active" ? "Active" : "Disabled", user.status === "active" ? "" : "danger"],
    user.mustChangePassword && ["Must change password", "caution"],
  ];
  return h(
    "span",
    { class: "badges" },
    ...shown.filter(Boolean).map(([text, tone]) => h("span", { class: `badge ${tone}` }, text)),
  );
}
