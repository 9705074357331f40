// Silences one known thing, for a reason and until a time.

import { ask, tell } from "/ui/api.js";
import { h, show } from "/ui/dom.js";
import { dialog, said } from "/ui/parts/dialog.js";
import { local, outside, some } from "/ui/text.js";

const HOUR = 3_600_000;
const ENDS = [
  ["1 hour", HOUR],
  ["1 day", 24 * HOUR],
  ["7 days", 7 * 24 * HOUR],
  ["30 days", 30 * 24 * HOUR],
];

/** The network of an address that alerts are counted by. */
function network(peer) {
  if (peer.includes(":")) return null;
  return `${peer.split(".").slice(0, 3).join(".")}.0/24`;
}

/** A subscriber under a pseudonym is nobody whom a suppression could name. */
const nameable = (peer) => Boolean(peer) && !peer.startsWith("h:");

/** What can be silenced of an alert, the narrowest first. */
function scopes({ detection, equipment, peer: known }) {
  const peer = nameable(known) ? known : null;
  const found = [];
  const near = peer && network(peer);
  if (equipment && peer) found.push([`${detection} of ${equipment} towards ${peer} alone`, { equipment, peer }]);
  if (equipment && near) found.push([`${detection} of ${equipment} towards the network ${near}`, { equipment, peer: near }]);
  if (peer) found.push([`${detection} of any equipment towards ${peer}`, { peer }]);
  if (equipment) found.push([`${detection} of ${equipment} towards anybody`, { equipment }]);
  return found;
}

function end(values) {
  if (values.end !== "date") return new Date(Date.now() + Number(values.end));
  const chosen = new Date(values.date);
  if (Number.isNaN(chosen.getTime())) throw new Error("There is no such date");
  return chosen;
}

/** Asks what is stored that it would silence, and says it, unless that is not wanted any more. */
async function foretell(place, { detection }, scope, signal) {
  show(place, "Counting what is stored …");
  try {
    const page = await ask("alerts", { query: { detection, equipment: scope.equipment, limit: 500 }, signal });
    const fits = page.items.filter(
      (alert) => alert.status !== "suppressed" && (!scope.peer || alert.peer === scope.peer || network(alert.peer ?? ":") === scope.peer),
    );
    const more = page.next ? " or more" : "";
    show(
      place,
      h("strong", {}, `${some(fits.length, "stored alert")}${more} will be silenced`),
      " now, and what comes like ",
      fits.length === 1 ? "it" : "them",
      " until the end. It is still stored, counted here, and in the journal. ",
      h("strong", {}, "Nothing else is silenced"),
      ": other detections, other equipment and other peers go on as before.",
    );
  } catch (error) {
    if (!signal.aborted) show(place, `What it would silence can't be counted: ${error.message}`);
  }
}

/** The dialog; gives what was made, or null. */
export async function suppress(alert) {
  const offered = scopes(alert);
  const preview = h("p", { class: "preview", role: "status" });
  const until = h("p", { class: "soft" });
  const date = h("input", { name: "date", type: "datetime-local", "aria-label": "Until", hidden: true });
  const scope = h(
    "fieldset",
    {},
    h("legend", {}, "What is silenced"),
    offered.map(([text], at) =>
      h(
        "label",
        { class: "pick" },
        h("input", { type: "radio", name: "scope", value: at, checked: at === 0, autofocus: at === 0 }),
        outside(text, 160),
      ),
    ),
  );
  // A slow answer for one scope must not stand there when another is chosen.
  let counting = new AbortController();
  const count = (at) => {
    counting.abort();
    counting = new AbortController();
    foretell(preview, alert, offered[at][1], counting.signal);
  };
  scope.addEventListener("change", (event) => count(Number(event.target.value)));
  const ends = h(
    "fieldset",
    {},
    h("legend", {}, "Until"),
    h(
      "div",
      { class: "picks" },
      [...ENDS, ["a date", "date"]].map(([text, value], at) =>
        h("label", { class: "pick" }, h("input", { type: "radio", name: "end", value, checked: at === 1 }), text),
      ),
      date,
    ),
    until,
  );
  const tellEnd = () => {
    try {
      const values = { end: ends.querySelector("input[name=end]:checked").value, date: date.value };
      date.hidden = values.end !== "date";
      show(until, `It ends by itself on ${local(end(values))}.`);
    } catch {
      show(until, "Choose a date, at most 400 days ahead.");
    }
  };
  ends.addEventListener("input", tellEnd);
  tellEnd();
  count(0);
  const made = await dialog({
    title: `Suppress ${alert.detection}`,
    body: [
      scope,
      preview,
      ends,
      h(
        "label",
        {},
        h("span", {}, "Reason, for whoever asks later"),
        h("textarea", { name: "reason", rows: 2, required: true, minlength: 3, maxlength: 1000 }),
      ),
    ],
    confirm: "Suppress",
    danger: true,
    act: (values) =>
      tell("suppressions", {
        detection: alert.detection,
        ...offered[Number(values.scope)][1],
        until: end(values).toISOString(),
        reason: values.reason,
      }),
  });
  counting.abort();
  if (made) said(`Suppression ${made.number} holds; it silenced ${some(made.alerts, "stored alert")}${made.pending ? " so far, more follow" : ""}.`);
  return made;
}

/** Whether there is anything narrow enough to name. */
export const canSuppress = ({ equipment, peer }) => Boolean(equipment) || nameable(peer);
