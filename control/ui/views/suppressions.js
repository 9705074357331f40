// What is silenced, by whom, why and until when; and taking it back.

import { ask, tell } from "/ui/api.js";
import { h } from "/ui/dom.js";
import { dialog, said } from "/ui/parts/dialog.js";
import { choice, filters, table } from "/ui/parts/list.js";
import { empty } from "/ui/parts/notice.js";
import { mayWrite } from "/ui/shell.js";
import { count, distance, outside, time, unfolded } from "/ui/text.js";

/** A suppression that ends within this time is about to. */
const SOON = 12 * 3_600_000;
const SHOWN = 500;

function ends({ state, until, revoked, revoked_by: by }) {
  if (state === "revoked")
    return [h("span", { class: "tag" }, "taken back"), h("span", { class: "sub" }, time(revoked), " by ", outside(by ?? "", 24))];
  const left = new Date(until) - Date.now();
  if (state === "expired" || left <= 0) return [h("span", { class: "tag" }, "over"), h("span", { class: "sub" }, time(until))];
  return [
    h("span", { class: `tag ${left < SOON ? "soon" : "active"}` }, `${left < SOON ? "ends in" : "another"} ${distance(left)}`),
    h("span", { class: "sub" }, time(until)),
  ];
}

function revoke({ number, detection }, again) {
  return h(
    "button",
    {
      type: "button",
      onclick: async () => {
        const done = await dialog({
          title: `Take suppression ${number} back`,
          body: [
            h("p", {}, `${detection} is told of again from then on. What was silenced so far stays suppressed until it is told of again.`),
            h(
              "label",
              {},
              h("span", {}, "Reason"),
              h("textarea", { name: "reason", rows: 2, required: true, minlength: 3, maxlength: 2000, autofocus: true }),
            ),
          ],
          confirm: "Take back",
          act: ({ reason }) => tell(`suppressions/${number}/revoke`, { reason }),
        });
        if (!done) return;
        said(`Suppression ${number} was taken back.`);
        again();
      },
    },
    "Take back",
  );
}

export async function suppressions({ path, query, signal, again }) {
  const { items } = await ask("suppressions", { signal });
  const all = query.show === "all";
  const shown = items.filter(({ state }) => all || state === "active").slice(0, SHOWN);
  const columns = [
    { name: "Number", kind: "digits", cell: ({ number }) => count(number) },
    {
      name: "Silenced",
      kind: "main",
      cell: ({ detection, equipment, peer }) => [
        h("a", { href: `#/detections/${detection}` }, detection),
        h(
          "span",
          { class: "sub" },
          equipment ? outside(equipment, 40) : "any equipment",
          " → ",
          peer ? outside(peer.replace(/\/(32|128)$/, ""), 46) : "anybody",
        ),
      ],
    },
    {
      name: "Reason",
      kind: "wide",
      cell: ({ reason, author, created }) => [unfolded(reason, 200), h("span", { class: "sub" }, outside(author, 24), ", ", time(created))],
    },
    { name: "Ends", cell: ends },
    { name: "Alerts silenced", kind: "digits", cell: ({ alerts, pending }) => [count(alerts), pending && h("span", { class: "sub" }, "more follow")] },
    mayWrite() && { name: "Do", cell: (one) => one.state === "active" && revoke(one, again) },
  ].filter(Boolean);
  return {
    title: "Suppressions",
    content: [
      h(
        "div",
        { class: "head" },
        h("h1", { tabindex: "-1" }, "Suppressions"),
        filters(
          path,
          query,
          choice(
            "Show",
            "show",
            [
              ["", "those that hold"],
              ["all", "all"],
            ],
            query.show,
          ),
        ),
      ),
      shown.length
        ? table("Suppressions", columns, shown)
        : empty(
            all ? "There never was a suppression" : "No suppression holds",
            "Everything that is found is told of. A suppression is made on the page of an alert; [[suppress]] of policy.toml is part of the policy and not listed here.",
          ),
    ],
  };
}
