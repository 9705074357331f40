// What is installed, and which of it shows anything; builds beside each other.

import { ask } from "/ui/api.js";
import { h } from "/ui/dom.js";
import { badge, tag } from "/ui/parts/badge.js";
import { bar } from "/ui/parts/chart.js";
import { address, field, filters, pages, rowLink, table } from "/ui/parts/list.js";
import { empty } from "/ui/parts/notice.js";
import { count, outside, some, time } from "/ui/text.js";
import { toEquipment } from "/ui/views/alerts.js";

const GROUPS = 60;

export function state({ alerts }) {
  if (!alerts?.open) return h("span", { class: "soft" }, "nothing open");
  return [badge(alerts.worst), h("span", { class: "sub" }, some(alerts.open, "open alert"))];
}

function groupRows(path, groups) {
  const shown = [...groups].sort((one, other) => other.showing - one.showing || other.installed - one.installed).slice(0, GROUPS);
  return table(
    "Builds",
    [
      {
        name: "Vendor, model, build",
        kind: "main",
        cell: ({ vendor, model, build, location }) =>
          h(
            "a",
            { href: address(path, { vendor, model, build, location }) },
            [vendor, model, build].filter(Boolean).map((text, at) => [at ? " · " : "", outside(text, 40)]),
            !vendor && !model && !build && "not said",
          ),
      },
      { name: "Site", cell: ({ location }) => (location ? outside(location, 40) : "–") },
      { name: "Installed", kind: "digits", cell: ({ installed }) => count(installed) },
      { name: "Showing", kind: "digits", cell: ({ showing }) => count(showing) },
      {
        name: "Share",
        cell: ({ installed, showing }) =>
          bar(installed ? showing / installed : 0, `${showing} of ${installed} have open alerts`, showing ? "much" : ""),
      },
    ],
    shown,
  );
}

export async function equipment({ path, query, signal }) {
  const { items, next, groups } = await ask("equipment", { query: { ...query, limit: 100 }, signal });
  const narrowed = ["vendor", "model", "build", "location"].filter((key) => query[key]);
  const installed = groups.reduce((sum, group) => sum + group.installed, 0);
  const columns = [
    {
      name: "Equipment",
      kind: "main",
      cell: (one) => [
        rowLink(toEquipment(one.id), outside(one.id, 40)),
        one.imported && tag("imported", "From an import by the interface, not from inventory.toml"),
        h("span", { class: "sub" }, one.roles.join(", ")),
      ],
    },
    {
      name: "Vendor, model",
      cell: ({ vendor, model }) => [vendor ? outside(vendor, 40) : "–", h("span", { class: "sub" }, outside(model ?? "", 40))],
    },
    { name: "Build", cell: ({ build }) => (build ? outside(build, 30) : "–") },
    { name: "Site", cell: ({ location }) => (location ? outside(location, 40) : "–") },
    {
      name: "Addresses",
      kind: "wide",
      cell: ({ addresses }) => [
        addresses.slice(0, 2).map((one) => h("span", { class: "line" }, outside(one, 46))),
        addresses.length > 2 && h("span", { class: "sub" }, `and ${addresses.length - 2} more`),
      ],
    },
    { name: "Last seen", cell: ({ last_seen: seen }) => (seen ? time(seen) : h("span", { class: "soft" }, "never")) },
    { name: "Alerts", cell: state },
  ];
  return {
    title: "Equipment",
    content: [
      h(
        "div",
        { class: "head" },
        h("h1", { tabindex: "-1" }, "Equipment"),
        filters(
          path,
          query,
          field("Search", "q", query.q ?? "", { type: "search", "data-search": true, placeholder: "id, address, serial …" }),
          ...["vendor", "model", "build", "location"].map((key) => field(key[0].toUpperCase() + key.slice(1), key, query[key] ?? "")),
        ),
      ),
      narrowed.length > 0 &&
        h("p", {}, h("a", { href: address(path, {}) }, "All equipment"), h("span", { class: "soft" }, ` (${count(installed)} installed)`)),
      items.length
        ? table("Equipment", columns, items)
        : installed
          ? empty("Nothing installed is like that", "Search for a part of an id, an address, a serial number, or leave a field empty.")
          : empty(
              "The inventory is empty",
              "Nothing can be judged without one. Write inventory.toml (docs/getting-started.md), or import it by the interface.",
            ),
      pages(path, query, next),
      groups.length > 0 &&
        h(
          "details",
          { class: "panel", open: narrowed.length === 0 && !query.q },
          h("summary", {}, h("h2", {}, "By build and site")),
          h(
            "p",
            { class: "soft" },
            "Builds of which most nodes show something stand first: what was shipped with a build shows at all of it.",
          ),
          groupRows(path, groups),
          groups.length > GROUPS && h("p", { class: "soft" }, `${count(groups.length - GROUPS)} more are not listed; narrow the search.`),
        ),
    ],
  };
}
