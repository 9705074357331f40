// Who did what.

import { ask } from "/ui/api.js";
import { h } from "/ui/dom.js";
import { pages, table } from "/ui/parts/list.js";
import { empty } from "/ui/parts/notice.js";
import { count, outside, time, unfolded } from "/ui/text.js";

function detail(value) {
  const pairs = Object.entries(value ?? {}).filter(([, told]) => told !== null);
  return pairs.map(([name, told], at) => [
    at ? "; " : "",
    h("span", { class: "soft" }, `${name} `),
    unfolded(typeof told === "string" ? told : JSON.stringify(told), 160),
  ]);
}

export async function audit({ path, query, signal }) {
  const { items, next } = await ask("audit", { query, signal });
  return {
    title: "Audit",
    content: [
      h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Audit")),
      h("p", { class: "soft" }, "What people did here. Each line is in the journal too, chained by its hash."),
      items.length
        ? table(
            "Deeds, the latest first",
            [
              { name: "Number", kind: "digits", cell: ({ number }) => count(number) },
              { name: "When", cell: (deed) => time(deed.time) },
              { name: "Who", cell: ({ actor }) => outside(actor, 30) },
              { name: "Did", kind: "main", cell: ({ action }) => outside(action.replaceAll(/[_.]/g, " "), 40) },
              { name: "To", cell: ({ object }) => outside(object, 60) },
              { name: "Details", kind: "wide", cell: (deed) => detail(deed.detail) },
            ],
            items,
          )
        : empty("Nobody did anything yet", "What people do with alerts, suppressions and sessions is listed here."),
      pages(path, query, next),
    ],
  };
}
