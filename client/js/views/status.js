import { h } from "../dom.js";
import { describe } from "../messages.js";
import { failureNote } from "../states.js";
import { partsList, summary } from "../status/parts.js";
import { numbers } from "../status/numbers.js";
import { clock } from "../changes/words.js";
import { zone } from "../time.js";

const REFRESH_MS = 10_000;
const LONGEST_MS = 60_000;

/** @param {import("../main.js").Context} context */
export async function status(context) {
  const { call, first, signal } = context;
  const heading = h("h1", { tabindex: "-1" }, "Status");
  const overall = h("p", { class: "status-overall", role: "status" });
  const fresh = h("p", { class: "status-fresh" });
  const parts = h("div", { class: "rows" });
  const shown = numbers();
  const node = h(
    "section",
    { class: "page status-page" },
    h("div", { class: "page-head" }, h("div", {}, heading, overall), fresh),
    h("section", { "aria-labelledby": "parts-title" }, h("h2", { id: "parts-title" }, "Parts"), parts),
    shown.node,
  );
  let timer = 0;
  let failures = 0;
  let asking = false;
  let known = null;

  document.addEventListener("visibilitychange", back);
  addEventListener("online", back);
  await refresh();
  if (signal.aborted) {
    close();
    return null;
  }
  return { title: "Status", focus: first ? null : heading, node, close };

  function close() {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", back);
    removeEventListener("online", back);
  }

  function back() {
    if (!document.hidden && !asking) refresh();
  }

  async function refresh() {
    clearTimeout(timer);
    asking = true;
    let wait = REFRESH_MS;
    try {
      show(await call("GET", "/status"));
      failures = 0;
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      if (error.kind === "left" || signal.aborted) return;
      failures += 1;
      wait = Math.max(Math.min(LONGEST_MS, REFRESH_MS * failures), (error.retryAfter ?? 0) * 1000);
      fail(error);
    } finally {
      asking = false;
    }
    // A tab that nobody sees asks when it is looked at again.
    if (!signal.aborted && !document.hidden) timer = setTimeout(refresh, wait);
  }

  function show(answer) {
    known = answer;
    const { text, tone } = summary(answer.parts);
    tell(text, tone);
    parts.replaceChildren(partsList(answer.parts));
    shown.show(answer);
    shown.node.hidden = false;
    fresh.classList.remove("stale");
    fresh.replaceChildren("As of ", h("time", { datetime: answer.at }, `${clock(answer.at)} ${zone()}`), ". It renews itself.");
  }

  function fail(error) {
    const told = describe(error);
    tell(known ? "How it is now is not known" : "How Helfy is could not be loaded", "danger");
    fresh.classList.toggle("stale", known !== null);
    shown.node.hidden = known === null;
    fresh.replaceChildren(
      ...(known ? [`${told.text} This is how it was at ${clock(known.at)} ${zone()}. `, again()] : []),
    );
    if (!known) parts.replaceChildren(failureNote(told, refresh));
  }

  function again() {
    return h("button", { class: "button small", type: "button", onclick: () => asking || refresh() }, "Try now");
  }

  function tell(text, tone) {
    overall.dataset.tone = tone;
    // What has not changed is not read out again.
    if (overall.textContent !== text) overall.textContent = text;
  }
}
