// Alerts in rows, by what is asked for.

import { ask } from "/ui/api.js";
import * as catalogue from "/ui/catalogue.js";
import { h } from "/ui/dom.js";
import { SEVERITIES, badge, status, tag } from "/ui/parts/badge.js";
import { address, choice, field, filters, news, pages, rowLink, table } from "/ui/parts/list.js";
import { empty } from "/ui/parts/notice.js";
import { bytes, count, outside, time } from "/ui/text.js";

export const toEquipment = (id) => `#/equipment/${encodeURIComponent(id)}`;

/** Rows of alerts; `names` are the detections' by id. */
export function alertRows(caption, items, names) {
  return table(
    caption,
    [
      { name: "Severity", kind: "grave", cell: (alert) => badge(alert.severity) },
      {
        name: "Alert",
        kind: "main",
        cell: (alert) => [
          rowLink(`#/alerts/${alert.id}`, alert.detection),
          h("span", { class: "sub" }, names.get(alert.detection)?.signature ?? ""),
          alert.restricted && tag("restricted"),
          alert.degraded && tag("degraded", "Packets were lost, or a link that this needs is not tapped whole"),
        ],
      },
      {
        name: "Equipment",
        cell: (alert) =>
          alert.equipment
            ? [
                h("a", { href: toEquipment(alert.equipment) }, outside(alert.equipment, 32)),
                h("span", { class: "sub" }, outside([alert.vendor, alert.build].filter(Boolean).join(" · "), 40)),
              ]
            : "–",
      },
      { name: "Peer", cell: (alert) => (alert.peer ? outside(alert.peer, 46) : "–") },
      { name: "Packets", kind: "digits", cell: (alert) => [count(alert.packets), h("span", { class: "sub" }, bytes(alert.bytes))] },
      { name: "Last", cell: (alert) => time(alert.last) },
      {
        name: "Status",
        kind: "stands",
        cell: (alert) => [status(alert.status), alert.evidence ? tag("evidence", `${count(alert.evidence)} of its frames are kept`) : null],
      },
    ],
    items,
  );
}

export async function alerts({ path, query, signal, on, again }) {
  const { show, ...asked } = query;
  const [page, names] = await Promise.all([ask("alerts", { query: asked, signal }), catalogue.all()]);
  const none = (label) => ["", label];
  return {
    title: "Alerts",
    content: [
      h(
        "div",
        { class: "head" },
        h("h1", { tabindex: "-1" }, "Alerts"),
        filters(
          path,
          query,
          choice(
            "Status",
            "status",
            [none("any"), ...["new", "acknowledged", "suppressed", "closed"].map((name) => [name, name])],
            query.status,
          ),
          choice("At least", "severity", [none("any"), ...SEVERITIES.map((name) => [name, name])], query.severity),
          choice("Detection", "detection", [none("any"), ...[...names.keys()].map((name) => [name, name])], query.detection),
          field("Equipment", "equipment", query.equipment ?? "", { "data-search": true, placeholder: "its id" }),
        ),
      ),
      news(on, again),
      page.items.length
        ? alertRows("Alerts, the latest first", page.items, names)
        : Object.keys(asked).length
          ? empty("No alert is like that", ["Nothing that is stored fits. ", h("a", { href: address(path, {}) }, "Show all alerts")])
          : empty(
              "There is no alert",
              "That is good: all that the equipment sent was declared. If you expect something, look at the overview whether Weir sees.",
            ),
      pages(path, query, page.next),
    ],
  };
}
