// PFCP sessions by what is known of them. Subscribers have pseudonyms; who wants to know more says why.

import { ask, tell } from "/ui/api.js";
import { h, show } from "/ui/dom.js";
import { tag } from "/ui/parts/badge.js";
import { said } from "/ui/parts/dialog.js";
import { choice, field, pages, table } from "/ui/parts/list.js";
import { empty, failed, loading } from "/ui/parts/notice.js";
import { forAReason, told } from "/ui/parts/reveal.js";
import { mayWrite } from "/ui/shell.js";
import { bytes, count, outside, time } from "/ui/text.js";

const STATES = [["", "any"], ...["pending", "active", "partial", "stale", "deleted"].map((state) => [state, state])];
const FIELDS = [
  ["Data network", "dnn", "internet"],
  ["Slice", "slice", "1-010203"],
  ["UPF", "up", "10.0.1.1"],
  ["SMF", "cp", "10.0.2.1"],
  ["TEID", "teid", "4097"],
  ["Subscriber", "supi", "h:…"],
];

async function reveal({ cp_seid, up_seid, cp, generation, established }, place) {
  const found = await forAReason(
    "Show whose session this is",
    "Show the addresses",
    async (reason) => (await tell("sessions/reveal", { cp_seid, up_seid, cp, generation, established, reason })).ue,
  );
  if (found) told(place, found);
}

function subscriber(session) {
  const addresses = (session.ue ?? []).slice(0, 3);
  const place = h(
    "div",
    { class: "sub" },
    addresses.map((one) => h("span", { class: "line" }, "address ", h("code", {}, outside(one, 24)))),
  );
  return [
    session.supi
      ? h("code", {}, h("a", { href: `#/sessions?supi=${encodeURIComponent(session.supi)}` }, outside(session.supi, 24)))
      : "no User ID",
    place,
    mayWrite() &&
      session.ue?.length > 0 &&
      h("button", { type: "button", class: "small", onclick: () => reveal(session, place) }, "Show …"),
  ];
}

const tunnels = (sign, ends) =>
  (ends ?? []).slice(0, 3).map(({ teid, addr }) => h("span", { class: "line" }, `${sign} `, outside(addr, 46), " ", h("code", {}, teid)));

function rows(items) {
  return table(
    "Sessions",
    [
      { name: "Subscriber", kind: "main", cell: subscriber },
      {
        name: "Network, slice",
        cell: ({ dnn, slice }) => [outside(dnn ?? "–", 40), h("span", { class: "sub" }, outside(slice ?? "", 20))],
      },
      {
        name: "State",
        cell: ({ state, generation }) => [tag(state), generation > 1 && h("span", { class: "sub" }, `generation ${generation}`)],
      },
      {
        name: "SMF → UPF",
        cell: ({ cp, up, cp_seid: a, up_seid: b }) => [
          h("span", { class: "line" }, outside(cp ?? "–", 46), " → ", outside(up ?? "–", 46)),
          h("span", { class: "sub" }, `${a ?? "–"} / ${b ?? "–"}`),
        ],
      },
      { name: "Tunnels", cell: ({ uplink, downlink }) => [tunnels("↑", uplink), tunnels("↓", downlink)] },
      {
        name: "Carried",
        kind: "digits",
        cell: (one) => [
          h("span", { class: "line" }, `↑ ${bytes(one.bytes?.ul)}`),
          h("span", { class: "line" }, `↓ ${bytes(one.bytes?.dl)}`),
          h("span", { class: "sub" }, `${count((one.packets?.ul ?? 0) + (one.packets?.dl ?? 0))} packets`),
        ],
      },
      {
        name: "Agreed",
        cell: ({ established, ended }) => [time(established), ended && h("span", { class: "sub" }, "ended ", time(ended))],
      },
    ],
    items,
  );
}

/** Sessions of an address of a subscriber: that reveals somebody, so that it is not in the page's own address. */
function byAddress(place, signal) {
  const look = (event) => {
    event.preventDefault();
    const ue = String(new FormData(event.target).get("ue")).trim();
    if (!ue) return;
    forAReason("Look sessions of an address up", "Look up", async (reason) => {
      show(place, loading("its sessions"));
      try {
        const { items } = await ask("sessions", { query: { ue, reason, limit: 100 }, signal });
        show(place, items.length ? rows(items) : empty("No session had that address", "Or it was given up with age."));
        said("The look-up is in the audit.");
      } catch (error) {
        show(place, failed(error));
        throw error;
      }
    });
  };
  return h(
    "form",
    { class: "filters", onsubmit: look },
    field("Address of a subscriber", "ue", "", { placeholder: "10.60.0.1", required: true }),
    h("button", { type: "submit" }, "Look up …"),
  );
}

export async function sessions({ path, query, signal }) {
  const { items, next } = await ask("sessions", { query: { ...query, limit: 50 }, signal });
  const place = h(
    "section",
    { class: "panel" },
    items.length
      ? rows(items)
      : Object.keys(query).length
        ? empty("No session is like that", "Or it was given up with age. Leave a field empty to look wider.")
        : empty(
            "No session was seen",
            "Weir knows sessions from N4. Look at the overview whether N4 is covered; docs/sessions.md says what is needed.",
          ),
    pages(path, query, next),
  );
  const submit = (event) => {
    event.preventDefault();
    const values = [...new FormData(event.target)].filter(([, value]) => value.trim()).map(([name, value]) => [name, value.trim()]);
    location.hash = `${path}?${new URLSearchParams(values)}`;
  };
  return {
    title: "Sessions",
    content: [
      h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Sessions")),
      h(
        "p",
        { class: "soft" },
        "Subscribers have pseudonyms here. The same subscriber has the same one, and nobody can reckon back from it.",
      ),
      h(
        "form",
        { class: "filters", role: "search", onsubmit: submit },
        FIELDS.map(([label, name, example], at) =>
          field(label, name, query[name] ?? "", { placeholder: example, "data-search": at === 0 }),
        ),
        choice("State", "state", STATES, query.state),
        h("button", { type: "submit" }, "Look up"),
      ),
      mayWrite() && byAddress(place, signal),
      place,
    ],
  };
}
