// Names and values side by side; a panel with a heading.

import { h } from "/ui/dom.js";

/** Pairs of a name and a value; those without a value are left out. */
export function facts(...pairs) {
  const present = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return h(
    "dl",
    { class: "facts" },
    present.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

export function panel(title, ...children) {
  return h("section", { class: "panel" }, h("h2", {}, title), children);
}
