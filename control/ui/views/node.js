// One piece of equipment: what it is made of, whom it talks to, what was found.

import { ask } from "/ui/api.js";
import * as catalogue from "/ui/catalogue.js";
import { h } from "/ui/dom.js";
import { badge, tag } from "/ui/parts/badge.js";
import { facts, panel } from "/ui/parts/fact.js";
import { address, table } from "/ui/parts/list.js";
import { empty } from "/ui/parts/notice.js";
import { bytes, count, outside, time } from "/ui/text.js";
import { alertRows, toEquipment } from "/ui/views/alerts.js";

function peerRows(peers) {
  return table(
    "Peers, those with most bytes first",
    [
      {
        name: "Peer",
        kind: "main",
        cell: ({ id, ip, name }) => [
          id ? h("a", { href: toEquipment(id) }, outside(id, 40)) : outside(name || ip, 60),
          (id || (name && name !== ip)) && h("span", { class: "sub" }, outside(ip, 46)),
        ],
      },
      { name: "Service", cell: ({ service }) => outside(service ?? "–", 30) },
      { name: "Declared", cell: ({ declared }) => (declared ? "yes" : tag("not declared", "No [[allow]] rule of the policy names this")) },
      { name: "Packets", kind: "digits", cell: ({ packets }) => count(packets) },
      { name: "Bytes", kind: "digits", cell: (peer) => bytes(peer.bytes) },
      { name: "First", cell: ({ first }) => time(first) },
      { name: "Last", cell: ({ last }) => time(last) },
    ],
    peers,
  );
}

export async function node({ named: id, signal }) {
  const [found, page, names] = await Promise.all([
    ask(`equipment/${encodeURIComponent(id)}`, { signal }),
    ask("alerts", { query: { equipment: id, limit: 50 }, signal }),
    catalogue.all(),
  ]);
  return {
    title: found.id,
    content: [
      h("p", { class: "crumbs" }, h("a", { href: "#/equipment" }, "Equipment")),
      h(
        "div",
        { class: "head" },
        h(
          "div",
          {},
          h("h1", { tabindex: "-1" }, outside(found.id, 80)),
          h(
            "p",
            { class: "under" },
            found.alerts?.open ? badge(found.alerts.worst) : tag("nothing open"),
            found.roles.map((role) => tag(role)),
            found.imported && tag("imported"),
          ),
        ),
      ),
      h(
        "div",
        { class: "columns even" },
        panel(
          "What it is",
          facts(
            ["Vendor", found.vendor && outside(found.vendor, 60)],
            ["Model", found.model && outside(found.model, 60)],
            ["Build", found.build && outside(found.build, 60)],
            ["Serial", found.serial && outside(found.serial, 60)],
            ["Site", found.location && outside(found.location, 100)],
            ["Last seen", found.last_seen ? time(found.last_seen) : "never"],
            [
              "Addresses",
              found.addresses.length > 0 &&
                h(
                  "ul",
                  { class: "plain" },
                  found.addresses.slice(0, 64).map((one) => h("li", {}, outside(one, 46))),
                ),
            ],
            [
              "MACs",
              found.macs.length > 0 &&
                h(
                  "ul",
                  { class: "plain" },
                  found.macs.slice(0, 64).map((one) => h("li", {}, outside(one, 20))),
                ),
            ],
          ),
        ),
        panel(
          "Components",
          found.components.length
            ? table(
                "Components",
                [
                  { name: "Name", kind: "main", cell: ({ name }) => outside(name, 40) },
                  { name: "Version", cell: ({ version }) => outside(version || "–", 30) },
                  {
                    name: "Supplier",
                    cell: ({ supplier, serial }) => [outside(supplier || "–", 40), h("span", { class: "sub" }, outside(serial ?? "", 30))],
                  },
                ],
                found.components.slice(0, 100),
              )
            : empty("No component is listed", "What the equipment is made of, and by whom, can be listed in inventory.toml."),
        ),
      ),
      panel(
        "What was found",
        page.items.length
          ? alertRows(`Alerts of ${found.id}`, page.items, names)
          : empty("Nothing was found", "That is good: all that it sent was declared."),
        page.next && h("p", {}, h("a", { href: address("/alerts", { equipment: found.id }) }, "All of its alerts")),
      ),
      panel(
        "Whom it talks to",
        found.peers.length
          ? peerRows(found.peers)
          : empty("Nothing is known of its peers", "It was not seen to talk to anybody, or what was seen was given up with age."),
      ),
    ],
  };
}
