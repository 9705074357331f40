// How grave something is, and where it stands: by colour, by shape and by word.

import { h, s } from "/ui/dom.js";

/** From the gravest on. */
export const SEVERITIES = ["critical", "high", "medium", "low", "info"];
export const rank = (severity) => {
  const at = SEVERITIES.indexOf(severity);
  return at < 0 ? SEVERITIES.length : at;
};

const SHAPES = {
  critical: "M8 .8 15.2 8 8 15.2 .8 8Z",
  high: "M8 1.5 15.2 14.3H.8Z",
  medium: "M2 2h12v12H2Z",
  low: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z",
  info: "M8 2.3a5.7 5.7 0 1 0 0 11.4A5.7 5.7 0 0 0 8 2.3Z",
};

/** The shape alone, 16 by 16, to be drawn into a picture. */
export function shape(severity, attributes = {}) {
  const known = SHAPES[severity] ? severity : "info";
  return s("path", { d: SHAPES[known], class: `shape ${known}`, ...attributes });
}

export function mark(severity) {
  return s("svg", { class: "mark", viewBox: "0 0 16 16", "aria-hidden": "true" }, shape(severity));
}

export function badge(severity) {
  const known = SHAPES[severity] ? severity : "info";
  return h("span", { class: `badge ${known}` }, mark(known), known);
}

const STANDS = { new: "nobody looked at it yet", acknowledged: "somebody works on it", suppressed: "silenced", closed: "done" };

export function status(name) {
  const known = STANDS[name] ? name : "closed";
  return h("span", { class: `status ${known}`, title: STANDS[known] }, name);
}

export function tag(text, title = null) {
  return h("span", { class: "tag", title }, text);
}
