/** What stands above every view: where one can go, and who one is. */

import { h } from "./dom.js";
import { PASSWORD, ROUTES } from "./routes.js";

/**
 * @param {{role: string, mustChangePassword: boolean}|null} me
 * @param {string} current the route's path that is shown
 * @returns {HTMLElement|null} null where there is nowhere to go
 */
export function navigation(me, current) {
  if (!me) return null;
  const entries = ROUTES.filter(
    ({ nav, who, path }) =>
      nav &&
      (who === "user" || me.role === who) &&
      // All else is refused until then.
      (!me.mustChangePassword || path === PASSWORD),
  );
  return h(
    "nav",
    { class: "nav", "aria-label": "Pages" },
    h(
      "ul",
      {},
      ...entries.map(({ path, nav }) =>
        h(
          "li",
          {},
          h("a", { href: `#${path}`, "aria-current": path === current ? "page" : null }, nav),
        ),
      ),
    ),
  );
}
