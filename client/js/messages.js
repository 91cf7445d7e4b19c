/** What went wrong, in plain words. */

import { TIMEOUT_MS } from "./api.js";
import { duration } from "./time.js";

/**
 * @param {import("./api.js").ApiError} error
 * @returns {{text: string, tone: "danger"|"caution", requestId: string}} requestId is "" where
 *   quoting it would help nobody
 */
export function describe(error) {
  const { kind, status } = error;
  const say = (text, tone = "caution", requestId = "") => ({ text, tone, requestId });

  if (kind === "offline") return say("You are offline. Check your connection, then try again.");
  if (kind === "network") {
    return say("Helfy cannot be reached. Check your connection and that the VM runs, then try again.");
  }
  if (kind === "timeout") {
    return say(`Helfy did not answer within ${TIMEOUT_MS / 1000} seconds. Try again.`);
  }
  if (kind === "http") {
    if (status === 413) return say("What you entered is too long.", "danger");
    if (status === 429) return say(tooMany(error.retryAfter));
    if (status === 502 || status === 504) {
      return say(`Helfy’s API does not answer right now (${status}). Try again in a moment.`);
    }
    if (status === 503) {
      const wait = error.retryAfter ? `in ${duration(error.retryAfter)}` : "in a moment";
      return say(`Helfy is not available right now (503). Try again ${wait}.`, "caution", error.requestId);
    }
    if (status >= 500) {
      return say("Something went wrong on the server. Your entries are fine; try again in a moment.", "danger", error.requestId);
    }
  }
  return say(`Helfy gave an answer that this page does not understand (${status}).`, "danger", error.requestId);
}

/** @param {number|null} wait seconds */
export function tooMany(wait) {
  if (wait === null) return "Too many attempts. Wait a moment, then try again.";
  if (wait <= 0) return "Too many attempts. You can try again now.";
  return `Too many attempts. Try again in ${duration(wait)}.`;
}
