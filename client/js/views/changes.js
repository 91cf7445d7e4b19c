import { filterForm } from "../changes/filters.js";
import { health } from "../changes/health.js";
import { Ledger } from "../changes/ledger.js";
import { lineList, STEP } from "../changes/list.js";
import { lineNode } from "../changes/line.js";
import { poller } from "../changes/poller.js";
import { count, headline } from "../changes/words.js";
import { h } from "../dom.js";
import { describe, refused } from "../messages.js";
import { zone } from "../time.js";

/** What is new is read out no more often than this. */
const READ_OUT_MS = 10_000;
const LABELS = { table: "Table", type: "Type", key: "Key" };

/** @param {import("../main.js").Context} context */
export async function changes(context) {
  const { first, signal, say } = context;
  const ledger = new Ledger();
  const list = lineList(ledger, (entry, fresh) => lineNode(entry, { fresh, opened, say }));
  const how = health();
  const feed = poller({ call: context.call, take, tell });
  const filters = filterForm(context.params, filtered);
  /** Why nothing moves: `asked` for, `open` details, `older` ones or `scrolled` down to. */
  const held = new Set();
  const open = new Set();
  let waiting = 0;
  /** More wait than can be kept: going on begins with the newest. */
  let spilled = false;
  let begun = false;
  /** What came of a catch-up that goes on: it is shown at once, at its end. */
  let coming = 0;
  let readOutAt = 0;

  const heading = h("h1", { tabindex: "-1" }, "Changes");
  const sign = h("span", { class: "feed-sign", "aria-hidden": "true" });
  const title = h("strong", {});
  const text = h("span", { class: "feed-text" });
  const retry = h("button", { class: "button small", type: "button", onclick: () => feed.hurry() }, "Try now");
  const waits = h("span", { class: "feed-waits" });
  const pause = h("button", { class: "button small feed-pause", type: "button", onclick: toggle }, "Pause");
  const bar = h(
    "div",
    { class: "feed-bar" },
    h("p", { class: "feed-state" }, sign, title, " ", text),
    h("div", { class: "feed-actions" }, waits, retry, pause),
  );
  const readOut = h("p", { class: "visually-hidden", role: "status" });
  const newer = h("button", { class: "button small", type: "button", onclick: showNewer }, "Show newer changes");
  const below = h("div", { class: "feed-below" });
  const node = h(
    "section",
    { class: "page changes-page" },
    h("div", { class: "page-head" }, h("div", {}, heading, h("p", {}, `The record of what happens to accounts and sessions, as it happens. Times in ${zone()}.`))),
    filters.node,
    bar,
    readOut,
    newer,
    list.node,
    below,
  );
  retry.hidden = newer.hidden = true;
  addEventListener("scroll", scrolled, { passive: true });
  showPause();
  await feed.start(filters.chosen());
  if (signal.aborted) {
    close();
    return null;
  }
  return { title: "Changes", focus: first ? null : heading, node, close };

  function close() {
    feed.close();
    filters.close();
    removeEventListener("scroll", scrolled);
  }

  // What comes

  function take({ changes: lines, older, lost, more }, after) {
    filters.fail({});
    if (after === null) {
      begun = true;
      waiting = coming = 0;
      ledger.clear();
      ledger.append(lines, older ?? null);
      list.show();
      showBelow();
      if (lines.length === 0 && older) lookOn();
      return;
    }
    if (held.size > 0 && ledger.full) {
      // Nobody has looked for so long that memory ends: they are in Kafka, not here.
      spilled = true;
      waiting += lines.length;
      return showPause();
    }
    coming += ledger.add(lines, after, lost);
    if (held.size === 0) ledger.trim();
    if (coming === 0 || more) return;
    const amount = coming;
    coming = 0;
    if (held.size > 0) {
      list.shift(amount);
      waiting += amount;
      return showPause();
    }
    list.added(amount);
    showBelow();
    tellNew(amount);
  }

  function tell(told) {
    const { title: name, text: words, tone, retry: again, changed } = how.note(told);
    bar.dataset.tone = tone;
    bar.dataset.state = told.state;
    if (title.textContent !== name) title.textContent = name;
    if (text.textContent !== words) text.textContent = words;
    retry.hidden = !again;
    if (changed) readOut.textContent = `${name}. ${words}`;
    if (told.state === "refused") filters.fail(refused(told.error, LABELS).known);
    if (!begun) showBelow(told.error);
  }

  function tellNew(amount) {
    if (Date.now() - readOutAt < READ_OUT_MS) return;
    readOutAt = Date.now();
    const newest = h("p", {}, ...headline(ledger.entries[0].line)).textContent;
    readOut.textContent = `${count(amount, "new change")}: ${newest}`;
  }

  // What is held, and what goes on

  function toggle() {
    if (held.size > 0) goOn();
    else hold("asked");
    readOut.textContent = held.size > 0 ? "Paused." : "Going on.";
  }

  function hold(why) {
    keepComing();
    held.add(why);
    showPause();
  }

  function release(why) {
    if (!held.delete(why)) return;
    if (held.size === 0) goOn();
    else showPause();
  }

  /** What came of a catch-up that goes on waits too. */
  function keepComing() {
    list.shift(coming);
    waiting += coming;
    coming = 0;
  }

  function goOn() {
    keepComing();
    held.clear();
    open.clear();
    const far = list.node.getBoundingClientRect().top < 0;
    if (spilled) restart();
    else if (list.top > 0 || waiting > 0) {
      // What was on top before is where it was, below what is new: no line is made twice.
      if (list.top === waiting) {
        list.shift(-waiting);
        list.added(waiting);
      } else list.show();
      ledger.trim();
    }
    waiting = 0;
    showPause();
    showBelow();
    if (far) filters.node.scrollIntoView({ block: "start" });
  }

  function restart() {
    spilled = begun = false;
    waiting = 0;
    ledger.clear();
    list.show();
    return feed.start(filters.chosen());
  }

  function opened(line, isOpen) {
    if (isOpen) open.add(line);
    else open.delete(line);
    if (isOpen) hold("open");
    else if (open.size === 0) release("open");
  }

  function scrolled() {
    if (list.node.getBoundingClientRect().top < 0) {
      if (!held.has("scrolled")) hold("scrolled");
    } else release("scrolled");
  }

  function showPause() {
    const isHeld = held.size > 0;
    const name = held.has("asked") ? "Paused" : "Held while you read";
    waits.textContent = isHeld ? `${name} · ${count(waiting, "change waits", "changes wait")}` : "";
    pause.textContent = isHeld ? "Resume" : "Pause";
    bar.classList.toggle("held", isHeld);
    newer.hidden = list.top <= waiting;
  }

  function filtered(chosen) {
    context.setParams(chosen);
    held.clear();
    open.clear();
    list.node.setAttribute("aria-busy", "true");
    restart().finally(() => {
      list.node.removeAttribute("aria-busy");
      showPause();
      readOut.textContent = count(ledger.entries.length, "change") + (ledger.older ? ", and older ones." : ".");
    });
  }

  // What was before

  function showNewer() {
    list.back();
    showPause();
    showBelow();
    if (newer.hidden) pause.focus();
  }

  async function showOlder() {
    hold("older");
    if (!list.beyond() && !(await fetchOlder())) return;
    list.extend();
    showPause();
    showBelow();
  }

  /** Nothing is among the newest: there may be something among the older ones. */
  async function lookOn() {
    if (await fetchOlder()) {
      coming = 0;
      list.show();
    }
    showBelow();
  }

  /** @returns {Promise<boolean>} whether there are more lines now */
  async function fetchOlder() {
    const before = ledger.entries.length;
    showBelow(null, true);
    try {
      const page = await feed.older(ledger.older);
      if (page === null) return false;
      ledger.append(page.changes, page.older ?? null);
      if (ledger.entries.length > before) return true;
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      if (error.kind !== "left") showBelow(error);
      return false;
    }
    showBelow();
    return false;
  }

  /** Under the list: older ones, or that there are none. */
  function showBelow(error = null, busy = false) {
    const any = Object.values(filters.chosen()).some(Boolean);
    const none = ledger.entries.length === 0;
    const parts = [];
    if (!begun) parts.push(h("p", {}, error ? "No change could be loaded yet." : "Loading…"));
    else if (none && busy) parts.push(h("p", {}, "Looking through older changes…"));
    else if (none && ledger.older) parts.push(h("p", {}, "None like that so far."));
    else if (none) parts.push(h("p", {}, any ? "There is no change like that." : "Nothing has changed yet. Change a credential, and it appears here."));
    if (error && begun) parts.push(h("p", { role: "alert" }, describe(error).text));
    if (begun && (ledger.older || list.beyond())) {
      const words = none ? "Look further back" : `Show ${STEP} older changes`;
      const button = h("button", { class: "button", type: "button", "aria-disabled": String(busy) }, busy ? "Looking…" : words);
      button.addEventListener("click", () => {
        if (button.getAttribute("aria-disabled") !== "true") return none ? lookOn() : showOlder();
      });
      parts.push(button);
    } else if (begun && !none) parts.push(h("p", {}, any ? "There are no older ones like that." : "This is where the record in Kafka begins."));
    if (none && any) parts.push(h("button", { class: "button", type: "button", onclick: () => filters.clear() }, "Show all changes"));
    // The focus stays where it was: on the button in this place.
    const focused = below.contains(document.activeElement);
    below.className = none ? "feed-below empty" : "feed-below";
    below.replaceChildren(...parts);
    if (focused) (below.querySelector("button") ?? heading).focus({ preventScroll: true });
  }
}
