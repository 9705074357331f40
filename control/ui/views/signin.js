// Who looks: a token, kept for as long as this tab lives.

import { keep } from "/ui/api.js";
import { h } from "/ui/dom.js";

export function signIn(why, enter) {
  const submit = (event) => {
    event.preventDefault();
    const token = String(new FormData(event.target).get("token")).trim();
    // What can't stand in a header is no token.
    if (!/^[\x21-\x7e]{1,512}$/.test(token)) return;
    keep(token);
    enter();
  };
  return h(
    "main",
    { id: "main", class: "signin" },
    h(
      "form",
      { class: "panel", onsubmit: submit },
      h("p", { class: "brand" }, h("img", { src: "/ui/weir.svg", alt: "", width: 40, height: 40 }), h("span", {}, "Weir")),
      h("h1", {}, "Sign in"),
      why && h("p", { role: "alert", class: "why" }, why),
      h(
        "label",
        {},
        h("span", {}, "Token"),
        h("input", { name: "token", type: "password", autocomplete: "off", required: true, spellcheck: "false", placeholder: "weir_…" }),
      ),
      h("p", { class: "soft" }, "It is kept in this tab alone and is gone when the tab is closed."),
      h("button", { type: "submit", class: "primary" }, "Sign in"),
      h(
        "details",
        {},
        h("summary", {}, "Where do I get one?"),
        h("p", {}, "Who administers Weir makes it, on the machine of weir-control:"),
        h(
          "pre",
          { class: "code", tabindex: "0" },
          "weir control --config weir.toml \\\n  --new-token YOUR_NAME --role analyst --valid-days 90",
        ),
      ),
    ),
  );
}
