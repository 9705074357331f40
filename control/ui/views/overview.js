// Is Weir seeing, and what is open, the gravest first.

import { ask } from "/ui/api.js";
import { h, show } from "/ui/dom.js";
import * as live from "/ui/live.js";
import { bar, loads, sparkline } from "/ui/parts/chart.js";
import { rank } from "/ui/parts/badge.js";
import { address } from "/ui/parts/list.js";
import { empty, failed } from "/ui/parts/notice.js";
import { count, parts, percent, some } from "/ui/text.js";
import { incidentRows } from "/ui/views/incidents.js";

const SHOWN = 20;

function number(value, unit) {
  const [digits, prefix] = parts(value);
  return [h("span", { class: "number" }, digits), h("span", { class: "unit" }, ` ${prefix}${unit}`)];
}

function tile(name, picture) {
  const value = h("div", { class: "value" }, "–");
  const note = h("div", { class: "note" });
  return { element: h("div", { class: "tile" }, h("h3", {}, name), value, picture?.element, note), value, note, picture };
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Which part of the frames is not inspected: neither all nor none unless it is so. */
function lost({ not_inspected_per_second: missed, packets_per_second: came }) {
  const share = missed < came ? missed / came : 1;
  if (share < 0.0001) return "Under 0.01 %";
  if (share < 1 && share > 0.99) return "Over 99 %";
  return percent(share, share < 0.1 ? 2 : 0);
}

/** In one sentence whether everything is seen. */
function sentence(state, link) {
  if (link === "lost")
    return ["away", "No connection to weir-control", "The page tries again by itself. What is shown below is what was known last."];
  if (!state) return ["wait", "Connecting", "The first numbers come within a second."];
  if (!state.up && state.replay)
    return [
      "wait",
      "The replay has ended",
      `${count(state.inspected)} of ${some(state.received, "frame")} were inspected. What was found stays below.`,
    ];
  if (!state.up)
    return [
      "away",
      "The sensor is away",
      `${capital(state.reason ?? "it gives no sign of life")}. Nothing is inspected. Look at it with systemctl status weir-sensor; what was found before stays below.`,
    ];
  if (state.not_inspected_per_second > 0)
    return [
      "losing",
      `${lost(state)} of frames are not inspected`,
      "What is in them nobody knows. Below stands why; docs/overload.md says what helps.",
    ];
  if (state.reason) return ["losing", "Not ready", `${capital(state.reason)}.`];
  if (state.n4_coverage !== null && state.n4_coverage < 0.9)
    return [
      "losing",
      "N4 is seen in part only",
      "What rests on sessions is not judged for UPFs that are not covered. Look whether all paths of N4 are tapped.",
    ];
  return [
    "seeing",
    state.replay ? "Replaying a capture, all of it inspected" : "Seeing everything",
    `${count(state.inspected)} of ${count(state.received)} frames inspected since the sensor's start.`,
  ];
}

function reasons(state) {
  const lost = Object.entries(state.not_inspected ?? {}).filter(([, total]) => total > 0);
  if (!lost.length) return "none so far";
  return lost
    .sort((one, other) => other[1] - one[1])
    .slice(0, 3)
    .map(([reason, total]) => `${reason} ${count(total)}`)
    .join(", ");
}

function sight() {
  const headline = h("h2", { class: "headline" });
  const note = h("p", { class: "soft" });
  const head = h("div", { class: "sight-head" }, headline, note);
  const packets = tile("Frames", sparkline("Frames per second over the last five minutes"));
  const bits = tile("Traffic", sparkline("Bits per second over the last five minutes"));
  const missed = tile("Not inspected", sparkline("Frames not inspected per second over the last five minutes"));
  const coverage = tile("N4 coverage");
  const latency = tile("Detection latency");
  const sessions = tile("Sessions");
  const busy = tile("Workers", loads("Worker"));
  const receiving = tile("Receive threads", loads("Receive thread"));
  const tiles = [packets, bits, missed, busy, receiving, coverage, latency, sessions];
  const draw = () => {
    const { state, link } = live.now;
    const [kind, title, text] = sentence(state, link);
    head.className = `sight-head ${kind}`;
    show(headline, h("span", { class: "light", "aria-hidden": "true" }), title);
    show(note, text);
    if (!state) return;
    show(packets.value, number(state.packets_per_second, "/s"));
    packets.picture.draw(live.series.packets);
    show(bits.value, number(state.bits_per_second, "bit/s"));
    bits.picture.draw(live.series.bits);
    show(missed.value, number(state.not_inspected_per_second, "/s"));
    missed.picture.draw(live.series.missed);
    show(missed.note, `${reasons(state)}${state.events_lost ? `; ${some(state.events_lost, "event")} lost` : ""}`);
    missed.element.classList.toggle("bad", state.not_inspected_per_second > 0 || state.events_lost > 0);
    const covered = state.up ? state.n4_coverage : null;
    show(coverage.value, h("span", { class: "number" }, percent(covered, 1)));
    show(
      coverage.note,
      covered !== null
        ? bar(covered, `N4 coverage ${percent(covered, 1)}`)
        : state.up
          ? "no N4 was seen in the last minute"
          : "there is no sensor",
    );
    coverage.element.classList.toggle("bad", covered !== null && covered < 0.9);
    const { p50, p99 } = state.latency_ms ?? {};
    show(latency.value, p50 === null || p50 === undefined ? "–" : number(p50 / 1000, "s"));
    show(
      latency.note,
      p99 === null || p99 === undefined
        ? state.replay
          ? "not measured in a replay"
          : "nothing was found yet"
        : ["99 of 100 within ", number(p99 / 1000, "s")],
    );
    show(sessions.value, h("span", { class: "number" }, count(state.sessions)));
    show(sessions.note, `${some(state.tunnels, "tunnel")}, ${some(state.flows, "flow")} of equipment`);
    busy.picture.draw((state.workers ?? []).map((worker) => worker.busy));
    show(busy.value, some(state.workers?.length ?? 0, "thread"));
    receiving.element.hidden = !state.receivers?.length;
    receiving.picture.draw((state.receivers ?? []).map((receiver) => receiver.busy));
    show(receiving.value, some(state.receivers?.length ?? 0, "thread"));
  };
  draw();
  return {
    element: h(
      "section",
      { class: "sight-panel", "aria-label": "Is Weir seeing" },
      head,
      h(
        "div",
        { class: "tiles" },
        tiles.map(({ element }) => element),
      ),
    ),
    draw,
  };
}

function tallies(alerts) {
  return h(
    "ul",
    { class: "tallies" },
    ["new", "acknowledged", "suppressed", "closed"].map((status) =>
      h(
        "li",
        { class: status },
        h("a", { href: address("/alerts", { status }) }, h("span", { class: "number" }, count(alerts?.[status])), ` ${status}`),
      ),
    ),
  );
}

export async function overview({ signal, on }) {
  const seen = sight();
  const list = h("div", {});
  const states = h("div", {}, tallies(live.now.state?.alerts));
  const refresh = async () => {
    try {
      const { items: open, next } = await ask("incidents", { query: { status: "open", limit: 500 }, signal });
      open.sort((one, other) => rank(one.severity) - rank(other.severity) || other.last.localeCompare(one.last));
      // A row that somebody is about to open must not move away from under the hand.
      const focused = document.activeElement?.closest?.("a[data-row]")?.getAttribute("href");
      show(list, open.length ? incidentRows("Open incidents, the gravest first", open.slice(0, SHOWN)) : nothing());
      if (open.length > SHOWN) list.append(h("p", {}, h("a", { href: "#/incidents" }, next ? "All open incidents" : `All ${count(open.length)} open incidents`)));
      if (focused) [...list.querySelectorAll("a[data-row]")].find((link) => link.getAttribute("href") === focused)?.focus();
    } catch (error) {
      if (!signal.aborted) show(list, failed(error, refresh));
    }
  };
  // However many alerts come, the list is asked for once in a while.
  on("alert", live.calmly(refresh, signal));
  const draw = () => {
    if (document.hidden) return;
    seen.draw();
    show(states, tallies(live.now.state?.alerts));
  };
  on("state", draw);
  on("link", draw);
  await refresh();
  return {
    title: "Overview",
    content: [
      h("h1", { tabindex: "-1", class: "unseen" }, "Overview"),
      seen.element,
      h("section", { class: "panel" }, h("div", { class: "panel-head" }, h("h2", {}, "Open incidents"), states), list),
    ],
  };
}

function nothing() {
  const { state } = live.now;
  if (state && !state.up && !state.replay)
    return empty("No incident is open", "That says little now: the sensor is away, and nothing is inspected.");
  return empty(
    "No incident is open",
    "That is good: all that the equipment sent was declared in the policy, or somebody is done with it. What came of earlier alerts stands under Incidents.",
  );
}
