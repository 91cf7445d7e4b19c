import { h } from "./dom.js";

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
