// One alert: what, who, since when, why, what was ruled out, what to do next.

import { ask, request, tell } from "/ui/api.js";
import * as catalogue from "/ui/catalogue.js";
import { h } from "/ui/dom.js";
import { calmly } from "/ui/live.js";
import { inline, said as paragraph } from "/ui/markdown.js";
import { badge, status, tag } from "/ui/parts/badge.js";
import { bar } from "/ui/parts/chart.js";
import { said } from "/ui/parts/dialog.js";
import { facts, panel } from "/ui/parts/fact.js";
import { forAReason, told as addresses } from "/ui/parts/reveal.js";
import { mayWrite } from "/ui/shell.js";
import { bytes, count, outside, percent, span, some, time, unfolded } from "/ui/text.js";
import { toEquipment } from "/ui/views/alerts.js";
import { statusButtons } from "/ui/views/status.js";
import { canSuppress, suppress } from "/ui/views/suppress.js";

const INITIATORS = { equipment: "the equipment opened it", peer: "the peer opened it", unknown: "not seen" };
const LINKS = { ul: "uplink", dl: "downlink", both: "both directions" };

/** The equipment under suspicion, as the inventory has it. */
export function equipmentFacts(entry) {
  const components = entry.components ?? [];
  return facts(
    ["Id", h("a", { href: toEquipment(entry.id) }, outside(entry.id, 60))],
    ["Vendor", entry.vendor && outside(entry.vendor, 60)],
    ["Model", entry.model && outside(entry.model, 60)],
    ["Build", entry.build && outside(entry.build, 60)],
    ["Serial", entry.serial && outside(entry.serial, 60)],
    ["Site", entry.location && outside(entry.location, 80)],
    [
      "Components",
      components.length > 0 &&
        h(
          "ul",
          { class: "plain" },
          components
            .slice(0, 50)
            .map(({ name, version, serial, supplier }) =>
              h(
                "li",
                {},
                outside(name, 40),
                " ",
                version && outside(version, 30),
                h("span", { class: "sub" }, supplier && ["by ", outside(supplier, 40)], serial && [", ", outside(serial, 30)]),
              ),
            ),
        ),
    ],
  );
}

/** Where a technique of MITRE is from, as far as its name tells. */
export function techniques(ids) {
  return h(
    "ul",
    { class: "tags" },
    (ids ?? []).map((id) => h("li", {}, tag(`${id.startsWith("FG") ? "FiGHT" : "ATT&CK"} ${id}`))),
  );
}

/** How sure it is, and why not more. */
export function confidence({ confidence: sure, status: stands, sensor_loss_ratio: loss, n4_coverage: coverage }) {
  const doubts = [];
  if (loss > 0) doubts.push(`${percent(loss, 3)} of frames were lost before inspection`);
  if (typeof coverage === "number" && coverage < 1) doubts.push(`${percent(1 - coverage, 1)} of N4 was not seen`);
  if (stands === "degraded") doubts.push("a link that this detection needs is not tapped whole, or packets were lost there");
  if (!doubts.length && sure < 1) doubts.push("the detection's own doubt; its page says how it is reckoned");
  return [
    h("div", { class: "confidence" }, h("span", { class: "number" }, percent(sure)), bar(sure, `Confidence ${percent(sure)}`)),
    h(
      "p",
      { class: "soft" },
      stands === "degraded" ? [tag("degraded"), " "] : null,
      doubts.length ? `Less than whole, since ${doubts.join("; ")}.` : "Nothing was lost, and all that this rests on was seen.",
    ),
  ];
}

/** The frames that were kept, to be downloaded. */
export function evidence(alert, kept) {
  if (!kept) return panel("Evidence", h("p", { class: "soft" }, "No frames are kept for this alert."));
  const download = async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      const answer = await request(`alerts/${alert.id}/evidence`, { accept: "application/x-pcapng" });
      const url = URL.createObjectURL(await answer.blob());
      h("a", { href: url, download: `weir-${alert.id}.pcapng` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
      said("The evidence is downloaded.");
    } catch (error) {
      said(`The frames can't be had: ${error.message}.`);
    } finally {
      button.disabled = false;
    }
  };
  return panel(
    "Evidence",
    facts(
      ["Frames", count(kept.frames)],
      ["File", outside(kept.pcap, 80)],
      ["SHA-256", h("code", { class: "hash" }, outside(kept.sha256, 64))],
    ),
    mayWrite() && h("button", { type: "button", onclick: download }, "Download the frames (pcapng)"),
    h(
      "p",
      { class: "soft" },
      mayWrite()
        ? "Subscribers' addresses are in them: who takes them is noted in the audit."
        : "Subscribers' addresses are in them: an analyst may take them.",
    ),
  );
}

/** The session by what may be shown of it: pseudonyms and numbers. */
function session(told, gtpu) {
  if (!told && !gtpu) return null;
  const teids = gtpu?.teids?.length ? gtpu.teids : gtpu ? [gtpu.teid] : [];
  return panel(
    "Session and tunnel",
    facts(
      ["Subscriber", told?.supi && h("code", {}, outside(told.supi, 24))],
      ["Its address", told?.ue && h("code", {}, outside(told.ue, 24))],
      ["Data network", told?.dnn && outside(told.dnn, 60)],
      ["Slice", told?.slice && outside(told.slice, 24)],
      ["SEIDs", (told?.cp_seid || told?.up_seid) && h("code", {}, [told.cp_seid, told.up_seid].filter(Boolean).join(" / "))],
      ["TEIDs", teids.length > 0 && h("code", {}, teids.join(", "))],
      ["QoS flow", gtpu?.qfi],
    ),
    told?.supi && h("p", {}, h("a", { href: `#/sessions?supi=${encodeURIComponent(told.supi)}` }, "Sessions of this subscriber")),
  );
}

/** Subscribers are named by pseudonyms, until somebody says why they must be known. */
function subscribers({ id, subscribers: number }) {
  if (!number) return null;
  const place = h("div", {});
  const reveal = async () => {
    const found = await forAReason(
      number === 1 ? "Show who the subscriber is" : "Show who the subscribers are",
      "Show the addresses",
      async (reason) => (await tell(`alerts/${id}/reveal`, { reason })).subscribers,
    );
    if (found)
      addresses(
        place,
        found.flatMap((one) => one.addresses.map((address) => `${one.pseudonym} is ${address}`)),
      );
  };
  return panel(
    "Subscribers",
    h("p", {}, `${some(number, "subscriber")} ${number === 1 ? "stands" : "stand"} here under a pseudonym, h: and 16 digits.`),
    place,
    mayWrite() && h("button", { type: "button", onclick: reveal }, "Show …"),
  );
}

function rule(name, told) {
  if (!told) return null;
  return [
    name,
    [
      h("code", {}, `FAR ${told.far}: ${told.apply.join(", ")}`),
      told.to && [" to ", outside(told.to.addr ?? "", 46), told.to.teid !== undefined && ` TEID ${told.to.teid}`],
    ],
  ];
}

function packet(name, told) {
  return (
    told && [
      name,
      [
        outside(told.src, 46),
        told.sport && `:${told.sport}`,
        " → ",
        outside(told.dst, 46),
        told.dport && `:${told.dport}`,
        ` protocol ${told.proto}`,
      ],
    ]
  );
}

/** Whether it is the build or this one node. */
export function sameBuild({ installed, showing }, entry) {
  const elsewhere = installed - showing;
  return panel(
    "The same build elsewhere",
    h("p", {}, h("span", { class: "number" }, count(showing)), ` of ${count(installed)} installed show this on the same day.`),
    installed > 1 && bar(showing / installed, `${showing} of ${installed}`, showing > 1 ? "much" : ""),
    h(
      "p",
      { class: "soft" },
      showing > 1
        ? "It is not this one node alone: what was shipped with the build may be the cause."
        : elsewhere > 0
          ? "It is this node alone: rather its place, its settings or somebody at it than the build."
          : "No other node has this build, so that nothing can be compared.",
    ),
    entry?.build &&
      h(
        "p",
        {},
        h(
          "a",
          { href: `#/equipment?${new URLSearchParams({ vendor: entry.vendor ?? "", model: entry.model ?? "", build: entry.build })}` },
          "All of this build",
        ),
      ),
  );
}

/** What an alert says, to be shown on its page and on that of its incident. */
export function account(event, documentation) {
  const told = event.weir;
  const harmless = documentation && paragraph(documentation, "Benign causes");
  const part = (title, content) => content && h("section", {}, h("h3", {}, title), content);
  return h(
    "div",
    { class: "account" },
    part("What was seen", h("p", { class: "observed" }, unfolded(told.observed, 600))),
    part("What was expected", told.expected && h("p", {}, unfolded(told.expected, 600))),
    part("Why it was flagged", told.why && h("p", {}, unfolded(told.why, 600))),
    part(
      "What was ruled out",
      told.ruled_out?.length > 0 &&
        h(
          "ul",
          {},
          told.ruled_out.slice(0, 50).map((text) => h("li", {}, unfolded(text, 300))),
        ),
    ),
    part("What it may be otherwise", harmless && h("p", {}, inline(harmless[0].toUpperCase() + harmless.slice(1)))),
    part("What to do next", told.next && h("p", { class: "next" }, unfolded(told.next, 600))),
  );
}

/** The event as it was said. */
function raw(event) {
  return h(
    "details",
    { class: "panel" },
    h("summary", {}, "The event as it was told (EVE JSON)"),
    h("pre", { class: "code", tabindex: "0" }, JSON.stringify(event, null, 1)),
  );
}

export async function alert({ named: id, signal, again, renew, on }) {
  let shown = null;
  // Somebody else's deed, or news of this very alert, is shown when there is something new, not each time.
  const look = calmly(async () => {
    try {
      if (JSON.stringify(await ask(`alerts/${id}`, { signal })) !== shown) await renew();
    } catch (error) {
      if (error.status === 404) await renew();
      else look();
    }
  }, signal);
  on("alert", (news) => (news === null || news.id === id) && look());
  const found = await ask(`alerts/${id}`, { signal });
  shown = JSON.stringify(found);
  const [names, documentation] = await Promise.all([catalogue.all(), catalogue.documentation(found.detection).catch(() => null)]);
  const { event, ...line } = found;
  const told = event.weir;
  const peer = told.peer;
  const buttons = [
    ...statusButtons({ what: line.detection, path: `alerts/${id}`, stands: line.status, again }),
    mayWrite() &&
      line.status !== "suppressed" &&
      canSuppress(line) &&
      h(
        "button",
        { type: "button", "data-key": "m", title: "Key: m", onclick: async () => (await suppress(line)) && again() },
        "Suppress …",
      ),
  ];
  return {
    title: `${line.detection} ${line.equipment ?? ""}`.trim(),
    content: [
      h(
        "p",
        { class: "crumbs" },
        h("a", { href: "#/alerts" }, "Alerts"),
        line.incident && [" / ", h("a", { href: `#/incidents/${line.incident}` }, `incident ${line.incident}`)],
      ),
      h(
        "div",
        { class: "head" },
        h(
          "div",
          {},
          h("h1", { tabindex: "-1" }, names.get(line.detection)?.signature ?? line.detection),
          h(
            "p",
            { class: "under" },
            badge(line.severity),
            status(line.status),
            h("a", { href: `#/detections/${line.detection}` }, line.detection),
            line.restricted && tag("restricted"),
            line.suppressed_by &&
              tag(line.suppressed_by === "policy" ? "silenced by the policy" : `silenced by suppression ${line.suppressed_by}`),
          ),
        ),
        h("div", { class: "buttons" }, buttons),
      ),
      line.note &&
        h("p", { class: "remark" }, outside(line.changed_by ?? "", 24), ", ", time(line.changed), ": ", unfolded(line.note, 300)),
      h(
        "div",
        { class: "columns" },
        h(
          "div",
          {},
          h("section", { class: "panel" }, account(event, documentation)),
          panel(
            "Since when, and how much",
            facts(
              ["First packet", time(line.first)],
              ["Last packet", time(line.last)],
              ["Over", span(line.first, line.last)],
              ["Packets", count(line.packets)],
              ["Bytes", bytes(line.bytes)],
              ["Told", line.final ? "to the end of its day" : `${some(line.updates, "update")} so far`],
              ["Link", told.link && [outside(told.link, 20), told.direction ? `, ${LINKS[told.direction] ?? told.direction}` : ""]],
              ["Tap", told.tap && outside(told.tap, 40)],
              ["Opened by", told.initiator && (INITIATORS[told.initiator] ?? told.initiator)],
              ...[packet("Outer", told.outer), packet("Inner", told.inner)].filter(Boolean),
            ),
          ),
          session(told.session, told.gtpu),
          subscribers(line),
          told.rule &&
            panel(
              "The order",
              facts(
                rule("Before", told.rule.before) ?? ["Before", "there was no such rule"],
                rule("After", told.rule.after) ?? ["After", "the rule is gone"],
                [
                  "Ordered by",
                  told.ordered_by &&
                    (told.ordered_by.equipment
                      ? h("a", { href: toEquipment(told.ordered_by.equipment) }, outside(told.ordered_by.equipment, 40))
                      : outside(told.ordered_by.ip, 46)),
                ],
              ),
            ),
          raw(event),
        ),
        h(
          "div",
          {},
          told.equipment && panel("Which equipment", equipmentFacts(told.equipment)),
          peer &&
            panel(
              "Towards whom",
              facts(
                ["Address", outside(peer.ip, 46)],
                ["Name", peer.name && unfolded(peer.name, 120)],
                ["Equipment", peer.equipment && h("a", { href: toEquipment(peer.equipment) }, outside(peer.equipment, 60))],
              ),
            ),
          told.same_build && sameBuild(told.same_build, told.equipment),
          panel("How sure", confidence(told)),
          evidence(line, told.evidence),
          panel(
            "Technique",
            techniques(told.technique),
            told.policy &&
              h(
                "p",
                { class: "soft" },
                `Judged by policy version ${told.policy.version}`,
                told.policy.sha256 && [", ", h("code", { class: "hash" }, outside(told.policy.sha256, 12))],
              ),
          ),
        ),
      ),
    ],
  };
}
