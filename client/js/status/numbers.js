/** The change stream now, and the last hour: latency, lag, requests, logins. */

import { count, number } from "../changes/words.js";
import { hourChart } from "../charts.js";
import { h } from "../dom.js";
import { zone } from "../time.js";

const STREAM = {
  live: ["✓", "Live", "good"],
  behind: ["!", "Behind: newer changes are still to come", "caution"],
  cutOff: ["✕", "Disconnected: Kafka does not answer", "danger"],
};
const CLASSES = [
  ["2xx", "successful", "good"],
  ["3xx", "redirects", "plain"],
  ["4xx", "client errors", "caution"],
  ["5xx", "server errors", "danger"],
];
const OUTCOMES = [
  ["ok", "successful", "good"],
  ["invalid_credentials", "invalid credentials", "caution"],
  ["throttled", "rate limited", "record"],
  ["bad_request", "invalid request", "plain"],
  ["busy", "overloaded", "record"],
  ["account_busy", "account busy", "caution"],
  ["unavailable", "database unavailable", "danger"],
  ["error", "failed", "danger-strong"],
];

const UNSENT = " Changes that change capture has not sent to Kafka yet are not counted.";

export function numbers() {
  const now = h("dl", { class: "figures" });
  const latency = hourChart({
    title: "Commit-to-Kafka latency",
    format: milliseconds,
    lines: [10, 100, 1_000, 10_000, 100_000],
    series: [{ name: "p95, at most", look: "record", value: ({ p95Ms }) => p95Ms }],
  });
  const lag = hourChart({
    title: "Unread records in Kafka",
    series: [{ name: "records at most", look: "caution", value: ({ lagRecords }) => lagRecords }],
  });
  const changes = hourChart({
    title: "Changes",
    series: [{ name: "changes", look: "good", value: (minute) => minute.changes }],
  });
  const requests = stacked("Requests to the API", "requests", CLASSES);
  const logins = stacked("Logins", "logins", OUTCOMES);
  const node = h(
    "div",
    { class: "status-numbers" },
    h(
      "section",
      { class: "panel", "aria-labelledby": "stream-title" },
      h("h2", { id: "stream-title" }, "Change stream"),
      now,
      h("div", { class: "charts" }, latency.node, lag.node, changes.node),
    ),
    h(
      "section",
      { class: "panel", "aria-labelledby": "hour-title" },
      h("h2", { id: "hour-title" }, `The last hour, all API processes (times in ${zone()})`),
      h("div", { class: "charts two" }, requests.node, logins.node),
    ),
  );
  return { node, show };

  function show({ at, parts, stream, hour, requests: answered, logins: tried }) {
    now.replaceChildren(...figures(stream));
    const { changes: amount, p95Ms } = stream.latency;
    const none = "No change within the last hour.";
    latency.update(amount === 0 ? none : `p95 of the last hour: at most ${milliseconds(p95Ms)}.`, hour, at);
    const most = Math.max(0, ...hour.map(({ lagRecords }) => lagRecords ?? 0));
    const captured = parts.every(({ name, state }) => name !== "capture" || state === "up");
    lag.update(`${most === 0 ? "None" : `${count(most, "record")} at most`}.${captured ? "" : UNSENT}`, hour, at);
    changes.update(amount === 0 ? none : `${count(amount, "change")} within the last hour.`, hour, at);
    requests.show(answered, hour, at);
    logins.show(tried, hour, at);
  }
}

function figures({ state, lagRecords, silenceSeconds, latency }) {
  const [sign, said, tone] = STREAM[state] ?? STREAM.behind;
  const percentiles = [
    ["Latency p50", latency.p50Ms],
    ["p95", latency.p95Ms],
    ["p99", latency.p99Ms],
  ];
  return [
    figure("Now", h("span", { "data-tone": tone }, h("span", { "aria-hidden": "true" }, `${sign} `), said)),
    figure("Unread in Kafka", count(lagRecords, "record")),
    figure("Last record", silenceSeconds === null ? "none yet" : `${number(Math.round(silenceSeconds))} s ago`),
    ...percentiles.map(([name, value]) => figure(name, value === null ? "–" : `≤ ${milliseconds(value)}`)),
  ];
}

const figure = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** A chart by kind, and how many there were of each within the hour. */
function stacked(title, field, kinds) {
  const series = kinds.map(([kind, name, look]) => ({ name: label(kind, name), look, value: (minute) => minute[field]?.[kind] ?? 0 }));
  const totals = h("dl", { class: "totals" });
  const chart = hourChart({ title, series, legend: totals });
  return { node: chart.node, show };

  function show(counts, hour, at) {
    const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
    const known = kinds.map(([kind]) => kind);
    // A kind that this page does not know is told by its own name.
    const others = Object.keys(counts).filter((kind) => !known.includes(kind));
    const rows = [...kinds, ...others.map((kind) => [kind, kind, "plain"])];
    chart.update(`${number(all)} within the last hour.`, hour, at);
    totals.replaceChildren(
      ...rows.map(([kind, name, look]) =>
        h(
          "div",
          {},
          h("dt", {}, h("span", { class: `swatch ${look}`, "aria-hidden": "true" }), label(kind, name)),
          h("dd", {}, number(counts[kind] ?? 0)),
        ),
      ),
    );
  }
}

/** A class of status is told with its number. */
function label(kind, name) {
  return /^\d/.test(kind) ? `${name} (${kind})` : name;
}

function milliseconds(value) {
  if (value >= 60_000) return `${number(Math.round(value / 60_000))} min`;
  return value >= 1_000 ? `${number(value / 1_000)} s` : `${number(value)} ms`;
}
