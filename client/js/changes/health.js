/** How the feed is, in words and with a sign. */

import { describe } from "../messages.js";
import { zone } from "../time.js";
import { clock } from "./words.js";

const BACK_MS = 8_000;

const SAID = {
  live: ["Live", "New changes appear here by themselves.", "good"],
  behind: ["Behind", "Newer changes are still to come.", "caution"],
  cutOff: ["Disconnected", "Kafka does not answer. What happens meanwhile appears when it is back.", "danger"],
  api: ["Disconnected", "Helfy’s API does not answer. What happens meanwhile appears when it is back.", "danger"],
  network: ["Disconnected", "Helfy cannot be reached. What happens meanwhile appears when it is back.", "danger"],
  offline: ["Disconnected", "You are offline. What happens meanwhile appears when you are back.", "danger"],
  refused: ["Not accepted", "", "danger"],
};

/** Remembers how it was, to say when it is back. */
export function health() {
  let state = null;
  let since = 0;
  let answered = null;
  let back = { text: "", until: 0 };

  return { note, get state() { return state; } };

  /**
   * @param {import("./poller.js").Health} how
   * @returns {{title: string, text: string, tone: string, retry: boolean, changed: boolean}}
   *   changed: it is worth being read out; retry: one may ask for another try
   */
  function note({ state: now, error, recordedAt = null }, at = Date.now()) {
    const before = state;
    const changed = now !== before && !(before === null && now === "live");
    state = now;
    if (now !== "live") since ||= at;
    else if (since) {
      back = { text: `Live again after ${span(at - since)}.`, until: at + BACK_MS };
      since = 0;
    }
    const [title, said, tone] = SAID[now] ?? SAID.behind;
    if (now === "live" && at < back.until) return { title: "Back", text: back.text, tone, retry: false, changed };
    if (now === "refused") {
      // What is wrong stands beside the field.
      const text = error.status === 400 ? "Look at what is marked above." : describe(error).text;
      return { title, text, tone, retry: false, changed };
    }
    if (!error) answered = at;
    const last = now === "live" ? "" : lastSign(error ? "answer" : "record", error ? answered : recordedAt);
    return { title, text: said + last, tone, retry: error !== null, changed };
  }
}

/** When this tab noticed says little: it may have been opened, or hidden, long after. */
function lastSign(what, at) {
  return at === null ? "" : ` Last ${what} at ${clock(at)} ${zone()}.`;
}

function span(milliseconds) {
  const seconds = Math.max(1, Math.round(milliseconds / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} minutes`;
}
