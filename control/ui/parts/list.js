// Tables whose rows lead somewhere, and pages of them.

import { h, show } from "/ui/dom.js";
import { some } from "/ui/text.js";

/**
 * A table. `columns` are {name, cell(item), kind?}; the first link of a row is where the keys lead, and
 * a click anywhere in the row follows it.
 */
export function table(caption, columns, items, { row } = {}) {
  const follow = (event) => {
    if (event.target.closest("a, button, input, summary") || String(getSelection())) return;
    event.currentTarget.querySelector("a[data-row]")?.click();
  };
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "rows" },
      h("caption", { class: "unseen" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map(({ name, kind }) => h("th", { scope: "col", class: kind }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        items.map((item) =>
          h(
            "tr",
            { onclick: follow, ...row?.(item) },
            columns.map(({ name, cell, kind }) => h("td", { class: kind, "data-name": name }, h("div", { class: "cell" }, cell(item)))),
          ),
        ),
      ),
    ),
  );
}

/** The link that a row is. */
export function rowLink(target, ...children) {
  return h("a", { href: target, "data-row": true }, children);
}

/** Moves to the next or the one before of the rows' links. */
export function step(by) {
  const links = [...document.querySelectorAll("main a[data-row]")].filter((link) => link.getClientRects().length);
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
  links[next].focus();
  links[next].scrollIntoView({ block: "nearest" });
}

/** Where the address leads with other values behind the question mark. */
export function address(path, query) {
  const entries = Object.entries(query).filter(([, value]) => value);
  return `#${path}${entries.length ? `?${new URLSearchParams(entries)}` : ""}`;
}

/** A button that says how many alerts changed since the list was drawn, if that is known, and draws it again. */
export function news(on, again) {
  let changed = 0;
  let untold = false;
  const button = h("button", { type: "button", class: "news", hidden: true, onclick: again });
  on("alert", (one) => {
    if (one) changed += 1;
    else untold = true;
  });
  on("state", () => {
    if (!changed && !untold) return;
    button.hidden = false;
    show(button, untold ? "Alerts may have changed: show" : `${some(changed, "alert")} changed: show`);
  });
  return button;
}

/** To the page behind, and back to the first. */
export function pages(path, query, next) {
  if (!next && !query.after) return null;
  return h(
    "nav",
    { class: "pages", "aria-label": "Pages" },
    query.after && h("a", { href: address(path, { ...query, after: null }) }, "← The latest"),
    next && h("a", { href: address(path, { ...query, after: next }) }, "Older →"),
  );
}

/** A form whose fields stand behind the question mark of the address. */
export function filters(path, query, ...fields) {
  const submit = (event) => {
    event?.preventDefault();
    const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
    location.hash = address(path, values);
  };
  const form = h("form", { class: "filters", role: "search", onsubmit: submit }, fields, h("button", { type: "submit" }, "Show"));
  form.addEventListener("change", (event) => event.target.matches("select") && submit());
  return form;
}

export function choice(label, name, options, chosen) {
  return h(
    "label",
    {},
    h("span", {}, label),
    h(
      "select",
      { name },
      options.map(([value, text]) => h("option", { value, selected: value === (chosen ?? "") }, text)),
    ),
  );
}

export function field(label, name, value, attributes = {}) {
  return h("label", {}, h("span", {}, label), h("input", { name, value, autocomplete: "off", spellcheck: "false", ...attributes }));
}
