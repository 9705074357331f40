// Builds the page. Texts become text nodes and attributes, never markup, and nothing hides in them.

import { lines } from "/ui/plain.js";

// Attributes that a person reads.
const READ = new Set(["title", "aria-label", "placeholder"]);
const SVG = "http://www.w3.org/2000/svg";

function put(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : READ.has(name) ? lines(value) : value);
  }
}

function fill(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : lines(child));
  }
}

/** An element; `on…` are listeners, children that are absent are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  put(element, attributes);
  fill(element, children);
  return element;
}

/** The same of a drawing. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  put(element, attributes);
  fill(element, children);
  return element;
}

/** Replaces what is in an element. */
export function show(element, ...children) {
  element.replaceChildren();
  fill(element, children);
  return element;
}
