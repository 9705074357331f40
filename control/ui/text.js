// Words, numbers and times; and texts from outside, which may be anything.

import { h } from "/ui/dom.js";
import { plain } from "/ui/plain.js";

function cut(text, most) {
  const signs = Array.from(text.slice(0, 2 * most + 2));
  return signs.length > most ? `${signs.slice(0, most).join("")}…` : text;
}

/** A text from outside in a line: isolated, cut, the whole in its title. */
export function outside(text, most = 80) {
  const whole = plain(text ?? "");
  const short = cut(whole, most);
  return h("bdi", { class: "outside", title: short === whole ? null : whole.slice(0, 4096) }, short);
}

/** The same where there is room: the whole can be unfolded. */
export function unfolded(text, most = 400) {
  const whole = plain(text ?? "");
  if (whole.length <= most) return h("bdi", { class: "outside" }, whole);
  return h(
    "details",
    { class: "cut" },
    h("summary", {}, h("bdi", { class: "outside" }, cut(whole, most)), h("span", { class: "more" }, " whole text")),
    h("bdi", { class: "outside whole" }, whole),
  );
}

const PREFIXES = ["", "k", "M", "G", "T", "P"];

function scaled(value, step, units) {
  let at = 0;
  let left = value;
  while (left >= step && at < units.length - 1) {
    left /= step;
    at += 1;
  }
  const digits = at === 0 || left >= 100 ? 0 : left >= 10 ? 1 : 2;
  return [left.toFixed(digits), units[at]];
}

/** A number with a prefix, as in ["1.25", "M"]. */
export const parts = (value) => scaled(value ?? 0, 1000, PREFIXES);
export const rate = (value, unit) => {
  const [number, prefix] = parts(value);
  return `${number} ${prefix}${unit}`;
};
export const bytes = (value) => scaled(value ?? 0, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]).join(" ");
/** A whole number in groups of three. */
export const count = (value) => (value === null || value === undefined ? "–" : Number(value).toLocaleString("en-GB"));
export const percent = (share, digits = 0) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`);
export const some = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

const today = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const within = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const longAgo = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

/** A moment in local time. */
export function local(moment) {
  const now = new Date();
  if (moment.toDateString() === now.toDateString()) return today.format(moment);
  return (moment.getFullYear() === now.getFullYear() ? within : longAgo).format(moment);
}

/** A moment: local time, UTC in the title. */
export function time(text) {
  const moment = new Date(text ?? NaN);
  if (Number.isNaN(moment.getTime())) return h("span", {}, "–");
  return h("time", { datetime: text, title: `${moment.toISOString().replace("T", " ").replace("Z", "")} UTC` }, local(moment));
}

/** How long something is ahead or ago, in the largest unit that fits. */
export function distance(milliseconds) {
  const seconds = Math.abs(milliseconds) / 1000;
  for (const [unit, name] of [
    [86400, "day"],
    [3600, "hour"],
    [60, "minute"],
  ]) {
    if (seconds >= unit) return some(Math.round(seconds / unit), name);
  }
  return some(Math.round(seconds), "second");
}

/** From one moment to another. */
export function span(from, to) {
  const passed = new Date(to) - new Date(from);
  return Number.isNaN(passed) ? "" : passed < 1000 ? "under a second" : distance(passed);
}
