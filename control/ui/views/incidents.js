// Incidents: what one cause showed, in one line each.

import { ask } from "/ui/api.js";
import { h } from "/ui/dom.js";
import { badge, rank, status, tag } from "/ui/parts/badge.js";
import { choice, filters, news, pages, rowLink, table } from "/ui/parts/list.js";
import { empty } from "/ui/parts/notice.js";
import { count, outside, time } from "/ui/text.js";

function few(names, most, shown = (name) => outside(name, 32)) {
  const some = names.slice(0, most).map((name, at) => [at ? ", " : "", shown(name)]);
  return names.length > most ? [some, ` and ${count(names.length - most)} more`] : some;
}

/** Where an incident shows, in few words. */
export function where(incident) {
  const { equipment, peers } = incident;
  if (!equipment.length && !peers.length) return "no equipment";
  return [equipment.length ? few(equipment, 3) : null, peers.length ? [equipment.length ? " → " : "", few(peers, 2)] : null];
}

export function incidentRows(caption, items) {
  return table(
    caption,
    [
      { name: "Severity", kind: "grave", cell: (incident) => badge(incident.severity) },
      {
        name: "Incident",
        kind: "main",
        cell: (incident) => [
          rowLink(
            `#/incidents/${incident.number}`,
            `${incident.number} · `,
            few(incident.detections, 2, (name) => name),
          ),
          incident.restricted && [" ", tag("restricted")],
        ],
      },
      { name: "Where", kind: "wide", cell: where },
      { name: "Alerts", kind: "digits", cell: (incident) => count(incident.alerts) },
      { name: "Since", cell: (incident) => time(incident.first) },
      { name: "Last", cell: (incident) => time(incident.last) },
      { name: "Status", kind: "stands", cell: (incident) => status(incident.status) },
    ],
    items,
  );
}

const KINDS = [
  ["", "open, the gravest first"],
  ["all", "all, the latest first"],
];

export async function incidents({ path, query, signal, on, again }) {
  const all = query.show === "all";
  const asked = all ? { limit: 100 } : { status: "open", limit: 500 };
  const page = await ask("incidents", { query: { ...asked, after: query.after }, signal });
  const { items } = page;
  if (!all) items.sort((one, other) => rank(one.severity) - rank(other.severity) || other.last.localeCompare(one.last));
  return {
    title: "Incidents",
    content: [
      h(
        "div",
        { class: "head" },
        h("h1", { tabindex: "-1" }, "Incidents"),
        filters(path, query, choice("Show", "show", KINDS, query.show ?? "")),
      ),
      news(on, again),
      items.length
        ? incidentRows("Incidents", items)
        : all
          ? empty(
              "There is no incident",
              "That is good: nothing was found since this state began. If you expect something, look at the overview whether Weir sees.",
            )
          : empty("No incident is open", "That is good: nothing was found, or somebody is done with all of it."),
      pages(path, query, page.next),
    ],
  };
}
