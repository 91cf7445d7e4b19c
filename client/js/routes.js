/**
 * Which address shows which view. The one place to add one: import it, give it a line.
 *
 * `who` may see it: `anybody` (only without a session), `user`, `admin`. `nav` is its text in the
 * navigation; `under` marks another one's entry there; `title` is what could not be loaded, where it
 * is another. `:id` stands for a number.
 */

import { ApiError } from "./api.js";
import { login } from "./views/login.js";
import { password } from "./views/password.js";
import { profile } from "./views/profile.js";
import { sessions } from "./views/sessions.js";
import { newUser } from "./views/user-new.js";
import { user } from "./views/user.js";
import { users } from "./views/users.js";

/** Only admins see these, and they weigh more than the others: they come when they are wanted. */
const changes = later(() => import("./views/changes.js"), "changes");
const status = later(() => import("./views/status.js"), "status");

export const HOME = "/profile";
export const LOGIN = "/login";
export const PASSWORD = "/password";

/**
 * @typedef {{path: string, view: Function, who: "anybody"|"user"|"admin", nav?: string,
 *   title?: string, under?: string}} Route
 * @type {Route[]}
 */
export const ROUTES = [
  { path: LOGIN, view: login, who: "anybody" },
  { path: HOME, view: profile, who: "user", nav: "Profile", title: "Your profile" },
  { path: "/sessions", view: sessions, who: "user", nav: "Sessions", title: "Your sessions" },
  { path: PASSWORD, view: password, who: "user", nav: "Password" },
  { path: "/users", view: users, who: "admin", nav: "Users", title: "The users" },
  { path: "/users/new", view: newUser, who: "admin", under: "/users" },
  { path: "/users/:id", view: user, who: "admin", under: "/users", title: "The user" },
  { path: "/changes", view: changes, who: "admin", nav: "Changes", title: "The changes" },
  { path: "/status", view: status, who: "admin", nav: "Status", title: "The status" },
];

/**
 * @param {string} path such as `/users/5`
 * @returns {{route: Route, id: number|null}|null}
 */
export function match(path) {
  for (const route of ROUTES) {
    const pattern = new RegExp(`^${route.path.replace(":id", "([1-9]\\d{0,15})")}$`);
    const found = pattern.exec(path);
    if (found) return { route, id: found[1] ? Number(found[1]) : null };
  }
  return null;
}

function later(load, name) {
  return async (context) => {
    const views = await load().catch(() => {
      throw new ApiError(navigator.onLine ? "network" : "offline");
    });
    return views[name](context);
  };
}
