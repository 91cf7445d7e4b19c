/** What is shown in the place of what could not be. */

import { busyButton, h, setBusy } from "./dom.js";
import { describe } from "./messages.js";

/**
 * A view that says what went wrong and offers another try.
 *
 * @param {import("./api.js").ApiError} error
 * @param {{title: string, reload: () => void, first: boolean}} options title: what is not there
 */
export function failure(error, { title, reload, first }) {
  const { button } = busyButton("Try again", { class: "button main", type: "button" });
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    setBusy(button, true);
    reload();
  });
  const { text, requestId } = describe(error);
  return panel(title, { first, role: "alert", what: "Not loaded" }, text, requestId, button);
}

/**
 * In a part of a view: what went wrong, and another try.
 *
 * @param {{text: string, requestId: string}} told
 */
export function failureNote({ text, requestId }, again) {
  return h(
    "div",
    { class: "empty", role: "alert" },
    h("p", {}, text),
    requestId && h("p", {}, "Request ", h("code", {}, requestId)),
    h("button", { class: "button", type: "button", onclick: () => again() }, "Try again"),
  );
}

/** A view that says that there is nothing here, and where there is. */
export function nothing(title, text, { first, link = "#/profile", linkText = "Go to your profile" }) {
  const way = h("a", { class: "button main", href: link }, linkText);
  return panel(title, { first, what: title }, text, "", way);
}

function panel(title, { first, role, what }, text, requestId, action) {
  const heading = h("h1", { tabindex: "-1" }, title);
  return {
    title: what,
    focus: first ? null : heading,
    node: h(
      "div",
      { class: "panel alone", role },
      heading,
      h("p", {}, text),
      requestId && h("p", {}, "Request ", h("code", {}, requestId)),
      action,
    ),
  };
}
