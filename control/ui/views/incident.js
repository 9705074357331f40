// One incident: the gravest of its alerts in full, all of them in time, who is part of it.

import { ask } from "/ui/api.js";
import * as catalogue from "/ui/catalogue.js";
import { h, s } from "/ui/dom.js";
import { calmly } from "/ui/live.js";
import { badge, rank, shape, status, tag } from "/ui/parts/badge.js";
import { facts, panel } from "/ui/parts/fact.js";
import { address } from "/ui/parts/list.js";
import { mayWrite } from "/ui/shell.js";
import { count, local, outside, some, span, time } from "/ui/text.js";
import { account, confidence, equipmentFacts, evidence, sameBuild, techniques } from "/ui/views/alert.js";
import { alertRows, toEquipment } from "/ui/views/alerts.js";
import { statusButtons } from "/ui/views/status.js";
import { canSuppress, suppress } from "/ui/views/suppress.js";

const WIDTH = 700;
const LEFT = 130;
const LANE = 30;
const LANES = 30;

/** Alerts from their first to their last packet, one line a detection. */
function timeline(alerts) {
  const lanes = [...new Set(alerts.map(({ detection }) => detection))].slice(0, LANES);
  const from = Math.min(...alerts.map(({ first }) => Date.parse(first)));
  const to = Math.max(...alerts.map(({ last }) => Date.parse(last)), from + 1000);
  const x = (moment) => LEFT + ((Date.parse(moment) - from) / (to - from)) * (WIDTH - LEFT - 24) + 4;
  const height = lanes.length * LANE + 26;
  const rows = lanes.map((detection, lane) => {
    const y = lane * LANE + LANE / 2;
    return [
      s("line", { class: "lane", x1: LEFT, x2: WIDTH - 8, y1: y, y2: y }),
      s("text", { x: LEFT - 10, y: y + 4, "text-anchor": "end" }, detection),
      alerts
        .filter((alert) => alert.detection === detection)
        .slice(0, 200)
        .map((alert) =>
          s(
            "a",
            {
              href: `#/alerts/${alert.id}`,
              "aria-label": `${alert.severity} ${detection} ${alert.equipment ?? ""}, ${local(new Date(alert.first))}`,
            },
            s("line", { class: `span ${alert.severity}`, x1: x(alert.first), x2: x(alert.last), y1: y, y2: y }),
            s("g", { transform: `translate(${(x(alert.first) - 8).toFixed(1)} ${y - 8})` }, shape(alert.severity)),
          ),
        ),
    ];
  });
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Timeline; the table below has the same" },
    s(
      "svg",
      { class: "timeline", viewBox: `0 0 ${WIDTH} ${height}`, role: "group", "aria-label": "Timeline" },
      rows,
      s("text", { class: "when", x: LEFT, y: height - 6 }, local(new Date(from))),
      s("text", { class: "when", x: WIDTH - 8, y: height - 6, "text-anchor": "end" }, local(new Date(to))),
    ),
  );
}

function group(title, names, shown) {
  if (!names.length) return null;
  const few = names.slice(0, 12).map((name) => h("li", {}, shown(name)));
  const rest = names.slice(12);
  return panel(
    title,
    h("ul", { class: "tags" }, few),
    rest.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, `${count(rest.length)} more`),
        h(
          "ul",
          { class: "tags" },
          rest.map((name) => h("li", {}, shown(name))),
        ),
      ),
  );
}

/** Alerts that are asked for. */
const SHOWN = 200;

/** The gravest of all alerts of an incident, of which the latest may be a part. */
async function gravestOf({ number, severity }, { items, next }, signal) {
  const [first] = next ? (await ask("alerts", { query: { incident: number, severity, limit: 1 }, signal })).items : [];
  return first ?? items[0];
}

export async function incident({ named, signal, again, renew, on }) {
  let number = named;
  const changed = calmly(renew, signal);
  on("alert", (news) => (news === null || String(news.incident) === number) && changed());
  const [found, page, names] = await Promise.all([
    ask(`incidents/${named}`, { signal }),
    ask("alerts", { query: { incident: named, limit: SHOWN }, signal }),
    catalogue.all(),
  ]);
  // One that was joined to another is shown as that.
  number = String(found.number);
  const alerts = [...page.items].sort((one, other) => rank(one.severity) - rank(other.severity) || one.first.localeCompare(other.first));
  const first = await gravestOf(found, { items: alerts, next: page.next }, signal);
  const gravest = first && (await ask(`alerts/${first.id}`, { signal }).catch(() => null));
  const which = page.next ? `the latest ${count(alerts.length)}, the gravest first` : "the gravest first";
  const documentation = gravest && (await catalogue.documentation(gravest.detection).catch(() => null));
  const title =
    found.detections.length === 1
      ? (names.get(found.detections[0])?.signature ?? found.detections[0])
      : `${found.detections.slice(0, 3).join(", ")}${found.detections.length > 3 ? " …" : ""}`;
  const technique = [...new Set(found.detections.flatMap((id) => names.get(id)?.technique ?? []))];
  return {
    title: `Incident ${found.number}`,
    content: [
      h("p", { class: "crumbs" }, h("a", { href: "#/incidents" }, "Incidents")),
      h(
        "div",
        { class: "head" },
        h(
          "div",
          {},
          h("h1", { tabindex: "-1" }, `Incident ${found.number}: `, title),
          h(
            "p",
            { class: "under" },
            badge(found.severity),
            status(found.status),
            found.restricted && tag("restricted"),
            h(
              "span",
              { class: "soft" },
              `${some(found.alerts, "alert")}, since `,
              time(found.first),
              `, over ${span(found.first, found.last)}`,
            ),
          ),
        ),
        h(
          "div",
          { class: "buttons" },
          statusButtons({
            what: `incident ${found.number}, ${some(found.alerts - found.suppressed, "alert")}`,
            path: `incidents/${found.number}`,
            stands: found.status,
            again,
          }),
          mayWrite() &&
            gravest &&
            canSuppress(gravest) &&
            h(
              "button",
              { type: "button", "data-key": "m", title: "Key: m", onclick: async () => (await suppress(gravest)) && again() },
              "Suppress …",
            ),
        ),
      ),
      h(
        "div",
        { class: "columns" },
        h(
          "div",
          {},
          gravest &&
            panel(
              "The gravest alert",
              h(
                "p",
                { class: "under" },
                badge(gravest.severity),
                h("a", { href: `#/alerts/${gravest.id}` }, names.get(gravest.detection)?.signature ?? gravest.detection),
              ),
              account(gravest.event, documentation),
            ),
          alerts.length > 0 && panel(page.next ? `Timeline of the latest ${count(alerts.length)}` : "Timeline", timeline(alerts)),
          h(
            "div",
            { class: "columns even" },
            h(
              "div",
              {},
              group("All its equipment", found.equipment.length > 1 || !gravest?.event.weir.equipment ? found.equipment : [], (id) =>
                h("a", { href: toEquipment(id) }, outside(id, 40)),
              ),
              group("Peers", found.peers, (net) => outside(net, 46)),
              group("Detections", found.detections, (id) => h("a", { href: `#/detections/${id}` }, id)),
              technique.length > 0 && panel("Technique", techniques(technique)),
            ),
            h(
              "div",
              {},
              panel(
                "Where it stands",
                facts(
                  ["New", count(found.new)],
                  ["Acknowledged", count(found.acknowledged)],
                  ["Suppressed", count(found.suppressed)],
                  ["Closed", count(found.closed)],
                  ["First packet", time(found.first)],
                  ["Last packet", time(found.last)],
                ),
              ),
            ),
          ),
        ),
        h(
          "div",
          {},
          gravest?.event.weir.equipment && panel("Which equipment", equipmentFacts(gravest.event.weir.equipment)),
          gravest?.event.weir.same_build && sameBuild(gravest.event.weir.same_build, gravest.event.weir.equipment),
          gravest && panel("How sure", confidence(gravest.event.weir)),
          gravest && evidence(gravest, gravest.event.weir.evidence),
        ),
      ),
      h(
        "section",
        { class: "panel" },
        h("h2", {}, page.next ? `Its alerts: ${which}` : "All its alerts"),
        alertRows(`Alerts of this incident, ${which}`, alerts, names),
        page.next &&
          h("p", {}, h("a", { href: address("/alerts", { incident: String(found.number) }) }, "All of them, the latest first")),
      ),
    ],
  };
}
