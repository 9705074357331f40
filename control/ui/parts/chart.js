// Small pictures of numbers.

import { h, s } from "/ui/dom.js";

const WIDTH = 240;
const HEIGHT = 44;
/** Values that fill the width when there are few. */
const LEAST = 60;

/** A line of the last minutes, broken where nothing is known; `draw` gives it other values. */
export function sparkline(label) {
  const area = s("path", { class: "area" });
  const line = s("path", { class: "line" });
  const element = s(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    area,
    line,
  );
  const draw = (series) => {
    const all = [...series];
    const known = all.findIndex((value) => value >= 0);
    const values = all.slice(Math.max(0, Math.min(known, all.length - LEAST)));
    const most = Math.max(...values.filter((value) => value >= 0), 0);
    const step = WIDTH / (values.length - 1);
    const pieces = [];
    let piece = null;
    values.forEach((value, at) => {
      if (!(value >= 0)) {
        piece = null;
        return;
      }
      const x = (at * step).toFixed(1);
      const y = (HEIGHT - 2 - (most > 0 ? value / most : 0) * (HEIGHT - 5)).toFixed(1);
      if (piece) piece.path += `L${x} ${y}`;
      else pieces.push((piece = { path: `M${x} ${y}`, first: x }));
      piece.last = x;
    });
    line.setAttribute("d", pieces.map(({ path }) => path).join(""));
    area.setAttribute("d", pieces.map(({ path, first, last }) => `${path}L${last} ${HEIGHT}L${first} ${HEIGHT}Z`).join(""));
  };
  return { element, draw };
}

/** A share of a whole as a bar. */
export function bar(share, label, kind = "") {
  const width = Math.max(0, Math.min(1, share ?? 0));
  return s(
    "svg",
    { class: `bar ${kind}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", role: "img", "aria-label": label },
    s("rect", { class: "whole", width: 100, height: 6 }),
    s("rect", { class: "part", width: (100 * width).toFixed(1), height: 6 }),
  );
}

/** Bars whose number may change, one a thread. */
export function loads(name) {
  const element = h("div", { class: "loads" });
  const draw = (values) => {
    const bars = values.slice(0, 128).map((busy, at) => {
      const text = `${name} ${at}: ${Math.round(100 * busy)} % busy`;
      return h(
        "div",
        { class: "load", title: text },
        bar(busy, text, busy > 0.9 ? "much" : ""),
        h("span", {}, `${Math.round(100 * busy)} %`),
      );
    });
    element.replaceChildren(...bars);
  };
  return { element, draw };
}
