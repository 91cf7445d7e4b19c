/** How the feed is, in words and with a sign. */

import { describe } from "../messages.js";
import { clock } from "./words.js";

const BACK_MS = 8_000;

const SAID = {
  live: ["Live", "New changes appear here by themselves.", "good"],
  behind: ["Behind", "Newer changes are still to come.", "caution"],
  cutOff: ["Cut off", "Kafka does not answer. What happens meanwhile appears when it is back.", "danger"],
  api: ["Cut off", "Helfy’s API does not answer. What happens meanwhile appears when it is back.", "danger"],
  network: ["Cut off", "Helfy cannot be reached. What happens meanwhile appears when it is back.", "danger"],
  offline: ["Cut off", "You are offline. What happens meanwhile appears when you are back.", "danger"],
  refused: ["Not accepted", "", "danger"],
};

/** Remembers how it was, to say when it is back. */
export function health() {
  let state = null;
  let since = 0;
  let back = { text: "", until: 0 };

  return { note, get state() { return state; } };

  /**
   * @param {import("./poller.js").Health} how
   * @returns {{title: string, text: string, tone: string, retry: boolean, changed: boolean}}
   *   changed: it is worth being read out; retry: one may ask for another try
   */
  function note({ state: now, error }, at = Date.now()) {
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
    const lasts = now === "live" ? "" : ` Since ${clock(since)}.`;
    return { title, text: said + lasts, tone, retry: error !== null, changed };
  }
}

function span(milliseconds) {
  const seconds = Math.max(1, Math.round(milliseconds / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} minutes`;
}
