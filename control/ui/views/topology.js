// Who talks to whom: a picture from the radio side to the networks beyond, and the same as a table.

import { ask } from "/ui/api.js";
import { h, s, show } from "/ui/dom.js";
import { SEVERITIES, badge, mark, shape, tag } from "/ui/parts/badge.js";
import { facts } from "/ui/parts/fact.js";
import { choice, filters, table } from "/ui/parts/list.js";
import { empty } from "/ui/parts/notice.js";
import { plain } from "/ui/plain.js";
import { bytes, count, outside, some, time } from "/ui/text.js";
import { toEquipment } from "/ui/views/alerts.js";
import { place } from "/ui/views/tiers.js";

const SPANS = [
  ["1", "the last hour"],
  ["24", "the last day"],
  ["168", "the last week"],
];
const ROWS = 40;
const NETWORKS = 8;
const REST = "rest";

/** As thick as its bytes have digits. */
const thickness = (edge) => (0.8 + Math.log10(1 + edge.bytes) * 0.42).toFixed(2);

function curve(from, to) {
  if (from.tier === to.tier) {
    const out = from.x - 20 - Math.abs(from.y - to.y) * 0.12;
    return [
      `M${from.x} ${from.y}C${out} ${from.y} ${out} ${to.y} ${to.x} ${to.y}`,
      { x: out * 0.75 + from.x * 0.25, y: (from.y + to.y) / 2 },
    ];
  }
  const [left, right] = from.tier < to.tier ? [from, to] : [to, from];
  const start = left.x + left.width;
  const bend = Math.max(30, (right.x - start) * 0.45);
  return [
    `M${start} ${left.y}C${start + bend} ${left.y} ${right.x - bend} ${right.y} ${right.x} ${right.y}`,
    { x: (start + right.x) / 2, y: (left.y + right.y) / 2 },
  ];
}

const name = (node) => plain(node.name || node.key);
const short = (text, most) =>
  Array.from(text).length > most
    ? `${Array.from(text)
        .slice(0, most - 1)
        .join("")}…`
    : text;

function label(node) {
  const found = node.alerts ? `, ${some(node.alerts, "open alert")}, worst ${node.worst}` : "";
  return `${short(name(node), 80)}${node.role ? `, ${node.role}` : node.class === "network" ? ", network" : ""}${found}`;
}

/** Networks beyond that nothing is open about are drawn one by one only if they are few: scanners would fill the picture. */
function folded(nodes, edges) {
  const bytes = new Map();
  for (const { from, to, bytes: carried } of edges) for (const key of [from, to]) bytes.set(key, (bytes.get(key) ?? 0) + carried);
  const quiet = nodes
    .filter((node) => node.class === "network" && !node.alerts)
    .sort((one, other) => (bytes.get(other.key) ?? 0) - (bytes.get(one.key) ?? 0));
  if (quiet.length <= NETWORKS) return [nodes, edges];
  const hidden = new Set(quiet.slice(NETWORKS - 1).map(({ key }) => key));
  const key = (end) => (hidden.has(end) ? REST : end);
  const rest = { key: REST, id: null, name: `${count(hidden.size)} more`, role: null, class: "network", alerts: 0, worst: null };
  return [
    [...nodes.filter((node) => !hidden.has(node.key)), rest],
    edges.map((edge) => ({ ...edge, from: key(edge.from), to: key(edge.to) })),
  ];
}

/** What two nodes tell each other, whatever the service and whoever began, as one line. */
function bundles(edges) {
  const found = new Map();
  for (const edge of edges) {
    const key = JSON.stringify([edge.from, edge.to].sort());
    const bundle = found.get(key) ?? { from: edge.from, to: edge.to, services: [], bytes: 0, declared: true, alerts: 0 };
    if (edge.service && !bundle.services.includes(edge.service)) bundle.services.push(edge.service);
    bundle.bytes += edge.bytes;
    bundle.declared &&= edge.declared;
    // An alert is counted at each service of the two whom it is about.
    bundle.alerts = Math.max(bundle.alerts, edge.alerts);
    found.set(key, bundle);
  }
  return [...found.values()].map((bundle) => ({ ...bundle, service: plain(few(bundle.services)) }));
}

const few = (services) => (services.length > 4 ? `${services.slice(0, 4).join(", ")} …` : services.join(", "));

function drawEdge(edge, at) {
  const [path, middle] = curve(at.get(edge.from), at.get(edge.to));
  const text = `${short(name(at.get(edge.from).node), 60)} → ${short(name(at.get(edge.to).node), 60)}: ${edge.service}, ${bytes(edge.bytes)}${edge.declared ? "" : ", not declared"}${edge.alerts ? `, ${some(edge.alerts, "open alert")}` : ""}`;
  return s(
    "g",
    { class: `edge${edge.declared ? "" : " undeclared"}${edge.alerts ? " alerted" : ""}`, "data-from": edge.from, "data-to": edge.to },
    s("title", {}, text),
    s("path", { class: "reach", d: path }),
    s("path", { d: path, "stroke-width": thickness(edge) }),
    edge.alerts > 0 &&
      s(
        "g",
        { transform: `translate(${(middle.x - 7).toFixed(1)} ${(middle.y - 7).toFixed(1)}) scale(.875)` },
        shape("high", { class: "shape flow" }),
      ),
  );
}

function drawNode({ node, x, y, width, height }) {
  const content = [
    s("title", {}, label(node)),
    s("rect", { x, y: y - height / 2, width, height, rx: node.class === "network" ? height / 2 : 6 }),
    s("text", { x: x + 9, y: y + 4 }, short(name(node), node.alerts ? 15 : 17)),
    node.alerts > 0 && s("g", { transform: `translate(${x + width - 20} ${y - 7}) scale(.875)` }, shape(node.worst)),
  ];
  const attributes = {
    class: `node ${node.class}${node.alerts ? ` alerted ${SEVERITIES.includes(node.worst) ? node.worst : ""}` : ""}`,
    "data-key": node.key,
    "aria-label": label(node),
  };
  return node.id
    ? s("a", { href: toEquipment(node.id), ...attributes }, content)
    : s("g", { tabindex: 0, role: "img", ...attributes }, content);
}

function about(node, edges, at) {
  const own = edges.filter(({ from, to }) => from === node.key || to === node.key);
  return [
    h("h2", {}, outside(name(node), 40)),
    facts(
      ["Role", node.role],
      ["Vendor", node.vendor && outside(node.vendor, 40)],
      ["Site", node.location && outside(node.location, 60)],
      ["Alerts", node.alerts ? [badge(node.worst), ` ${count(node.alerts)} open`] : "nothing open"],
    ),
    h(
      "ul",
      { class: "plain" },
      own
        .slice(0, 12)
        .map((edge) =>
          h(
            "li",
            {},
            outside(name(at.get(edge.from === node.key ? edge.to : edge.from).node), 28),
            h("span", { class: "sub" }, `${edge.service}, ${bytes(edge.bytes)}`, edge.declared ? "" : ", not declared"),
          ),
        ),
    ),
    own.length > 12 && h("p", { class: "soft" }, `and ${own.length - 12} more`),
    node.id && h("p", {}, h("a", { href: toEquipment(node.id) }, "Its page")),
  ];
}

function legend() {
  const line = (kind, text) =>
    h(
      "li",
      {},
      s(
        "svg",
        { viewBox: "0 0 34 10", class: "sample", "aria-hidden": "true" },
        s("g", { class: `edge ${kind}` }, s("path", { d: "M1 5H33", "stroke-width": 2.4 })),
      ),
      text,
    );
  return h(
    "ul",
    { class: "legend" },
    line("", "declared"),
    line("undeclared", "not declared"),
    h(
      "li",
      {},
      s("svg", { viewBox: "0 0 16 16", class: "mark", "aria-hidden": "true" }, shape("high", { class: "shape flow" })),
      "a flow with open alerts",
    ),
    SEVERITIES.slice(0, 4).map((severity) => h("li", {}, mark(severity), severity)),
    h("li", {}, "thicker: more bytes"),
    h("li", {}, "round: a network beyond"),
  );
}

function picture(allNodes, allEdges) {
  const [nodes, edges] = folded(allNodes, allEdges);
  const { at, width, height, tiers } = place(nodes, edges);
  const shown = bundles(edges.filter(({ from, to }) => at.has(from) && at.has(to) && from !== to));
  const ordered = [...shown].sort((one, other) => (one.alerts > 0) - (other.alerts > 0) || one.bytes - other.bytes);
  const lines = ordered.map((edge) => drawEdge(edge, at));
  const drawing = s(
    "svg",
    {
      class: "topology",
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "group",
      "aria-label": "Who talks to whom; the table below has the same",
    },
    tiers.map(({ title, x }) => s("text", { class: "tier", x, y: 16 }, title)),
    lines,
    [...at.values()].map(drawNode),
  );
  const aside = h(
    "aside",
    { class: "panel about", "aria-live": "polite" },
    h("p", { class: "soft" }, "Point at a node, or reach it with Tab, to see whom it talks to."),
  );
  const point = (event) => {
    const key = event.target.closest?.("[data-key]")?.dataset.key;
    if (key === undefined) return;
    drawing.classList.add("pointing");
    for (const line of lines) line.classList.toggle("lit", line.dataset.from === key || line.dataset.to === key);
    show(aside, about(at.get(key).node, shown, at));
  };
  drawing.addEventListener("pointerover", point);
  drawing.addEventListener("focusin", point);
  drawing.addEventListener("pointerleave", () => drawing.classList.remove("pointing"));
  return h("div", { class: "map" }, h("div", { class: "scroll canvas" }, drawing), aside);
}

function twin(nodes, edges) {
  const named = new Map(nodes.map((node) => [node.key, node]));
  const end = (key) => {
    const node = named.get(key);
    return node?.id ? h("a", { href: toEquipment(node.id) }, outside(name(node), 40)) : outside(node ? name(node) : key, 46);
  };
  const rows = [...edges].sort((one, other) => other.alerts - one.alerts || other.bytes - one.bytes);
  const columns = [
    { name: "From", kind: "main", cell: ({ from }) => end(from) },
    { name: "To", cell: ({ to }) => end(to) },
    { name: "Service", cell: ({ service }) => outside(service ?? "–", 30) },
    { name: "Declared", cell: ({ declared }) => (declared ? "yes" : tag("not declared")) },
    { name: "Alerts", kind: "digits", cell: ({ alerts }) => (alerts ? count(alerts) : "–") },
    { name: "Packets", kind: "digits", cell: ({ packets }) => count(packets) },
    { name: "Bytes", kind: "digits", cell: (edge) => bytes(edge.bytes) },
    { name: "Last", cell: ({ last }) => time(last) },
  ];
  const place = h("div", {});
  const draw = (most) =>
    show(
      place,
      table("Who talks to whom", columns, rows.slice(0, most)),
      rows.length > most && h("button", { type: "button", onclick: () => draw(rows.length) }, `All ${count(rows.length)}`),
    );
  draw(ROWS);
  return place;
}

export async function topology({ path, query, signal }) {
  const { nodes, edges, more, until } = await ask("topology", { query: { hours: query.hours || "24" }, signal });
  return {
    title: "Topology",
    content: [
      h(
        "div",
        { class: "head" },
        h("h1", { tabindex: "-1" }, "Topology"),
        filters(path, query, choice("Seen in", "hours", SPANS, query.hours ?? "24")),
      ),
      nodes.length
        ? [
            h(
              "section",
              { class: "panel" },
              legend(),
              picture(nodes, edges),
              more > 0 && h("p", { class: "soft" }, `${count(more)} more are not drawn: these are the busiest, and all with open alerts.`),
              until &&
                h(
                  "p",
                  { class: "soft" },
                  "The latest hour of which anything is told begins at ",
                  time(until),
                  ". A flow is told of when it has ended, or once an hour.",
                ),
            ),
            h(
              "section",
              { class: "panel" },
              h("h2", {}, "The same as a table"),
              edges.length ? twin(nodes, edges) : empty("No flow was seen", "In that time the equipment talked to nobody that Weir saw."),
            ),
          ]
        : empty(
            "Nothing was seen to talk",
            "In that time no equipment of the inventory was seen. Choose a longer time, or look at the overview whether Weir sees.",
          ),
    ],
  };
}
