// What stands where there is nothing to show: it is on its way, there is none, or it can't be had.

import { h } from "/ui/dom.js";

export function loading(what) {
  return h(
    "div",
    { class: "notice loading", role: "status" },
    h("span", { class: "pulse", "aria-hidden": "true" }),
    `Asking for ${what} …`,
  );
}

/** There is nothing; `why` says what that means. */
export function empty(title, why) {
  return h("div", { class: "notice empty" }, h("strong", {}, title), h("p", {}, why));
}

const REMEDIES = {
  0: "Look whether weir-control runs (systemctl status weir-control) and whether this machine reaches it.",
  401: "Sign in with a token that holds.",
  403: "Ask who administers Weir for a token of that role.",
  404: "It may have been given up with age, or never have been there. Go back to the list.",
  410: "What is kept, and for how long, stands under [control.evidence] of weir.toml.",
  429: "Too much was asked for at once. Wait a moment, then try again.",
  503: "Try again; if it stays, look at weir-control's messages and at the room on its disk.",
};

export function remedy(error) {
  return REMEDIES[error.status] ?? "Try again; if it stays, tell who administers Weir.";
}

/** It went wrong: what, and what to do. */
export function failed(error, again) {
  return h(
    "div",
    { class: "notice failed", role: "alert" },
    h("strong", {}, error.status === 404 ? "There is no such thing here" : "This can't be shown"),
    h("p", {}, error.message, ". ", remedy(error)),
    again && h("button", { type: "button", onclick: again }, "Try again"),
  );
}
