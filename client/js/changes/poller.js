/** Asks the feed for what is new, over and over, whatever happens meanwhile. */

import { ApiError } from "../api.js";

const NEWEST = 50;
const AT_ONCE = 200;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
/** A tab that nobody sees asks so seldom. */
const HIDDEN_MS = 20_000;
/** Answers that find nothing, one after another, before whoever looks is asked to go on. */
const LOOKS = 8;

/**
 * How the feed is: what the API says of it (`live`, `behind`, `cutOff`), or why it says nothing:
 * `api` (it does not answer), `network`, `offline`, `refused` (it does not take what is asked).
 *
 * @typedef {{state: string, recordedAt?: string|null, error: ApiError|null, retryAt: number|null}} Health
 *   recordedAt: the time that Kafka's last record tells of; retryAt: when it is tried again, in the
 *   clock of `Date.now`
 */

/**
 * @param {Object} options
 * @param {(method: string, path: string, options: Object) => Promise<Object>} options.call
 * @param {(answer: Object, after: string|null) => void} options.take an answer, and the cursor
 *   that its lines come after; null: they are the newest, newest first
 * @param {(health: Health) => void} options.tell
 */
export function poller({ call, take, tell }) {
  let run = null;

  const hurry = () => {
    if (run && !run.asking) round(run);
  };
  const back = () => {
    if (!document.hidden) hurry();
  };
  document.addEventListener("visibilitychange", back);
  addEventListener("online", hurry);

  return { start, hurry, older, close };

  /** Begin with the newest lines. Resolves when the first answer is there, or a failure told. */
  function start(filters) {
    end();
    run = { control: new AbortController(), filters, cursor: null, failures: 0, timer: 0 };
    return round(run);
  }

  function end() {
    run?.control.abort();
    clearTimeout(run?.timer);
    run = null;
  }

  function close() {
    end();
    document.removeEventListener("visibilitychange", back);
    removeEventListener("online", hurry);
  }

  async function round(mine) {
    clearTimeout(mine.timer);
    mine.asking = true;
    let wait;
    try {
      const after = mine.cursor;
      const answer = await ask(mine, after ? { after, limit: AT_ONCE } : { limit: NEWEST });
      if (mine !== run) return;
      mine.failures = 0;
      // The lines first: were they to fail, the cursor must not have gone past them.
      take(answer, after);
      mine.cursor = answer.next ?? after;
      tell({ state: answer.state, recordedAt: answer.recordedAt, error: null, retryAt: null });
      wait = after && answer.more ? 0 : Math.max(200, Number(answer.pollAfterMs) || FIRST_PAUSE_MS);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine !== run || error.kind === "left") return;
      wait = failed(mine, error);
    } finally {
      mine.asking = false;
    }
    mine.timer = setTimeout(() => round(mine), document.hidden ? Math.max(wait, HIDDEN_MS) : wait);
  }

  function failed(mine, error) {
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** mine.failures);
    mine.failures += 1;
    // Not all at the same moment: whoever starts anew is not to be met by a crowd.
    const wait = Math.max(pause * (0.75 + Math.random() / 2), (error.retryAfter ?? 0) * 1000);
    if (error.status === 400 && error.fields.after) mine.cursor = null;
    tell({ state: stateOf(error), error, retryAt: Date.now() + wait });
    return wait;
  }

  /**
   * Look for lines before a cursor.
   *
   * @returns {Promise<{changes: Object[], older: string|null}|null>} newest first; an empty page
   *   with a cursor: none were found so far. null where something else is asked for meanwhile
   * @throws {ApiError}
   */
  async function older(before) {
    const mine = run;
    for (let look = 1; ; look += 1) {
      const answer = await ask(mine, { before, limit: NEWEST });
      if (mine !== run) return null;
      if (answer.changes.length > 0 || !answer.older || look === LOOKS) return answer;
      before = answer.older;
    }
  }

  async function ask(mine, how) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...mine.filters, ...how })) {
      if (value) query.set(name, value);
    }
    const answer = await call("GET", `/changes?${query}`, { signal: mine.control.signal });
    if (!Array.isArray(answer.changes)) throw new ApiError("answer", { status: 200 });
    return answer;
  }
}

function stateOf({ kind, status }) {
  if (kind === "offline" || kind === "network") return kind;
  return status >= 400 && status < 500 && status !== 429 ? "refused" : "api";
}
