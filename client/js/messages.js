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
    if (status === 400 || status === 409) {
      const { other } = refused(error, {});
      if (other) return say(other, "danger");
    }
    // The API itself says so, and not a server in between.
    if (status === 403 && error.said) return say("Your account may not do this.", "danger");
    if (status === 404 && error.said) {
      return say("This is not there any more. Somebody else may have deleted or ended it.", "danger");
    }
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

/**
 * What a 400 or a 409 said of the fields, in sentences.
 *
 * @param {import("./api.js").ApiError} error
 * @param {Object<string, string>} labels the form's fields, by their names in the API's JSON
 * @returns {{known: Object<string, string>, other: string}} known: by field; other: the rest
 */
export function refused(error, labels) {
  const known = {};
  const other = [];
  for (const [name, text] of Object.entries(error.fields)) {
    const said = sentence(labels[name] ?? name, text);
    if (name in labels) known[name] = said;
    else other.push(said);
  }
  if (Object.keys(error.fields).length === 0 && error.said) other.push(sentence("", error.said));
  return { known, other: other.length ? `Helfy does not accept this. ${other.join(" ")}` : "" };
}

const IN_WORDS = {
  "is taken": "belongs to another account already",
  "was taken just now, try again": "was taken just now; try again",
};
const LAST_ADMIN = "the last active admin who has logged in must stay";

/** The API says "must be …" of a field by its name in JSON; people know it by its label. */
function sentence(label, text) {
  if (text === LAST_ADMIN) {
    return "This is the last active admin who has logged in. Have another admin log in first, or nobody could run Helfy.";
  }
  const words = IN_WORDS[text] ?? text;
  return /^[a-z]/.test(words) ? `${label} ${words.replace(/\.$/, "")}.`.trim() : words;
}
