/**
 * Whether the session still stands. The API decides, not this machine's clock: it is asked when
 * the session should have ended, and when the user comes back to the tab.
 */

import { renew } from "./moments.js";
import * as session from "./session.js";

const PAUSE_MS = 30_000;

/** @param {() => Promise<unknown>} ask asks the API; a 401 leads back to log-in by itself */
export function watch(ask) {
  let asked = Date.now();
  const look = () => {
    if (!session.current() || Date.now() - asked < PAUSE_MS) return;
    asked = Date.now();
    // Anything but a 401 can wait for the next time.
    ask().catch(() => {});
  };
  setInterval(() => {
    if (Date.parse(session.current()?.expiresAt) < Date.now()) look();
  }, PAUSE_MS);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") return;
    renew();
    look();
  });
}
