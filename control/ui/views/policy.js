// The policy in force; what a candidate would change, and what it would do to what was seen.

import { ask, tell } from "/ui/api.js";
import { h, show } from "/ui/dom.js";
import { facts, panel } from "/ui/parts/fact.js";
import { table } from "/ui/parts/list.js";
import { empty, failed, loading } from "/ui/parts/notice.js";
import { bytes, count, outside, some, time } from "/ui/text.js";
import { toEquipment } from "/ui/views/alerts.js";

const SIGNS = { "+": ["new", "added"], "-": ["gone", "removed"], "~": ["changed", "changed"] };

/** Its text with the numbers that mistakes are told by. */
function text(policy) {
  return h(
    "div",
    { class: "scroll code", tabindex: "0", role: "region", "aria-label": "policy.toml" },
    h(
      "ol",
      { class: "lines" },
      policy
        .split(/\r?\n/)
        .slice(0, 20_000)
        .map((line) => h("li", {}, h("code", {}, line.replaceAll("\t", "    ")))),
    ),
  );
}

function mistakes(found) {
  return h(
    "div",
    { class: "notice failed", role: "alert" },
    h("strong", {}, `${some(found.length, "mistake")}: it would be refused`),
    h(
      "ul",
      {},
      found
        .slice(0, 100)
        .map(({ file, line, column, message }) =>
          h("li", {}, h("code", {}, outside(`${file ?? "policy.toml"}:${line}:${column}`, 80)), " ", outside(message, 400)),
        ),
    ),
  );
}

function differences({ lines, mistakes: wrong, left_out: more }) {
  if (wrong?.length) return mistakes(wrong);
  if (!lines.length) return empty("It says the same", "The candidate allows and judges what the policy in force does.");
  return [
    h(
      "ul",
      { class: "diff" },
      lines.slice(0, 2_000).map(({ sign, what }) => {
        const [kind, word] = SIGNS[sign] ?? SIGNS["~"];
        return h(
          "li",
          { class: kind },
          h("span", { class: "sign", title: word }, sign, h("span", { class: "unseen" }, ` ${word}: `)),
          outside(what, 600),
        );
      }),
    ),
    more > 0 && h("p", { class: "soft" }, `and ${count(more)} more`),
  ];
}

function effects(outcome) {
  const { would_be_silent: silent, would_be_flagged: flagged } = outcome;
  return [
    h(
      "p",
      {},
      `${some(outcome.judged, "flow and alert", "flows and alerts")} of the history judged by it: it silences ${count(outcome.silent)} and flags ${count(outcome.flagged)}.`,
      outcome.not_sure > 0 && ` Of ${count(outcome.not_sure)} a part only may be allowed.`,
    ),
    h("h3", {}, "It would silence"),
    silent.length
      ? h(
          "ul",
          { class: "plain" },
          silent.map(({ id, detection, equipment, peer, because }) =>
            h(
              "li",
              {},
              h("a", { href: `#/alerts/${id}` }, detection),
              " ",
              outside([equipment, peer].filter(Boolean).join(" → "), 120),
              h("span", { class: "sub" }, outside(because ?? "", 160)),
            ),
          ),
        )
      : h("p", { class: "soft" }, "None of the alerts that are stored."),
    h("h3", {}, "It would flag"),
    flagged.length
      ? table(
          "What it would flag",
          [
            { name: "Equipment", kind: "main", cell: ({ equipment }) => h("a", { href: toEquipment(equipment) }, outside(equipment, 40)) },
            { name: "Peer", cell: ({ peer }) => outside(peer, 46) },
            { name: "Service", cell: ({ service }) => outside(service ?? "–", 30) },
            { name: "Bytes", kind: "digits", cell: (one) => bytes(one.bytes) },
            { name: "Last", cell: ({ last }) => time(last) },
          ],
          flagged,
        )
      : h("p", { class: "soft" }, "None of the flows that were seen."),
  ];
}

function candidate(signal) {
  const place = h("div", { "aria-live": "polite" });
  const run = (what, act) => async () => {
    const policy = field.value;
    if (!policy.trim()) {
      show(place, empty("There is no candidate", "Paste the text of a policy.toml above."));
      return;
    }
    show(place, loading(what));
    try {
      show(place, await act(policy));
    } catch (error) {
      if (signal.aborted) return;
      show(place, error.told?.mistakes ? mistakes(error.told.mistakes) : failed(error));
    }
  };
  const field = h("textarea", {
    name: "candidate",
    rows: 14,
    class: "code",
    spellcheck: "false",
    placeholder: '[[allow]]\nfrom = { role = "gnb" }\n…',
    "aria-label": "Text of a candidate policy.toml",
  });
  const days = h(
    "select",
    { name: "days", "aria-label": "Of the last" },
    [1, 7, 30].map((number) => h("option", { value: number, selected: number === 7 }, some(number, "day"))),
  );
  const testing = async (policy) => {
    const compared = await tell("policy/diff", { policy }, { signal });
    return compared.mistakes?.length
      ? mistakes(compared.mistakes)
      : effects(await tell("policy/test", { policy, days: Number(days.value) }, { signal }));
  };
  return panel(
    "Try a candidate",
    h("p", { class: "soft" }, "Nothing is changed by this. To put a policy into force, write policy.toml and send weir-control SIGHUP."),
    field,
    h(
      "div",
      { class: "buttons" },
      h(
        "button",
        {
          type: "button",
          class: "primary",
          "data-diff": true,
          onclick: run("the difference", async (policy) => differences(await tell("policy/diff", { policy }, { signal }))),
        },
        "What does it change?",
      ),
      h("button", { type: "button", "data-test": true, onclick: run("its effect", testing) }, "What would it have done?"),
      days,
    ),
    place,
  );
}

export async function policy({ signal }) {
  const found = await ask("policy", { signal });
  return {
    title: "Policy",
    content: [
      h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Policy")),
      h(
        "div",
        { class: "columns even" },
        h(
          "div",
          {},
          panel(
            "In force",
            facts(
              ["Version", count(found.version)],
              ["SHA-256", found.sha256 && h("code", { class: "hash" }, found.sha256)],
              ["Since", found.adopted && time(found.adopted)],
            ),
            found.policy
              ? text(found.policy)
              : empty("There is no policy", "Nothing can be judged without one; docs/policy.md says how to begin."),
          ),
          found.versions?.length > 1 &&
            h(
              "details",
              { class: "panel" },
              h("summary", {}, `${some(found.versions.length, "version")} so far`),
              h(
                "ol",
                { class: "plain" },
                found.versions
                  .slice(-50)
                  .map(({ version, sha256 }) => h("li", {}, `${version} `, h("code", { class: "hash" }, outside(sha256 ?? "", 64)))),
              ),
            ),
        ),
        h("div", {}, candidate(signal)),
      ),
    ],
  };
}
