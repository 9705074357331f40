// The pages of the documentation as elements: the few forms that they use, and everything else as text.

import { h } from "/ui/dom.js";

const INLINE = /(\*\*[^*]+\*\*|\*[^*\s][^*]*\*|`[^`]+`|\[[^\]]+\]\([^)\s]+\))/;

function link(text, target) {
  const page = /^([a-z]+-[a-z]+)\.md(#.*)?$/.exec(target);
  if (page) return h("a", { href: `#/detections/${page[1].toUpperCase()}` }, inline(text));
  // What lies elsewhere in the documentation is not served here; its name is told.
  return h("span", { title: `docs/${target.replace(/^\.\.\//, "")}` }, inline(text));
}

export function inline(text) {
  return text
    .split(INLINE)
    .filter(Boolean)
    .map((piece) => {
      if (piece.startsWith("**") && piece.length > 4) return h("strong", {}, inline(piece.slice(2, -2)));
      if (piece.startsWith("`") && piece.length > 2) return h("code", {}, piece.slice(1, -1));
      if (piece.startsWith("*") && piece.length > 2) return h("em", {}, inline(piece.slice(1, -1)));
      const named = /^\[([^\]]+)\]\(([^)\s]+)\)$/.exec(piece);
      return named ? link(named[1], named[2]) : piece.replace(/\\([|[\]*`])/g, "$1");
    });
}

const cells = (line) =>
  line
    .replace(/^\s*\||\|\s*$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => inline(cell.trim()));

function table(lines) {
  const [head, , ...rows] = lines;
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          cells(head).map((cell) => (cell.length ? h("th", { scope: "col" }, cell) : h("td", {}))),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            {},
            cells(row).map((cell) => h("td", {}, cell)),
          ),
        ),
      ),
    ),
  );
}

function code(lines) {
  return h("pre", { class: "code", tabindex: "0" }, lines.join("\n"));
}

function list(lines) {
  const items = [];
  for (const line of lines) {
    const item = /^\s*(?:-|\d+\.)\s+(.*)$/.exec(line);
    if (item) items.push(item[1]);
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return h(
    /^\d/.test(lines[0]) ? "ol" : "ul",
    {},
    items.map((item) => h("li", {}, inline(item))),
  );
}

/** The blocks of a page, each with its kind and lines. */
export function blocks(text) {
  const found = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    if (!line.trim()) continue;
    const from = at;
    if (line.startsWith("```")) {
      do at += 1;
      while (at < lines.length && !lines[at].startsWith("```"));
      found.push({ kind: "code", lines: lines.slice(from + 1, at) });
      continue;
    }
    const kind = line.startsWith("#") ? "heading" : line.startsWith("|") ? "table" : /^(-|\d+\.)\s/.test(line) ? "list" : "text";
    const goes = (next) => next?.trim() && !next.startsWith("```") && (kind === "table" ? next.startsWith("|") : !next.startsWith("|"));
    while (kind !== "heading" && goes(lines[at + 1])) at += 1;
    found.push({ kind, lines: lines.slice(from, at + 1) });
  }
  return found;
}

/** What a paragraph says that begins with one of these words in bold, without them. */
export function said(text, lead) {
  for (const block of blocks(text)) {
    const whole = block.kind === "text" ? block.lines.join(" ") : "";
    if (whole.startsWith(`**${lead}`)) return whole.slice(whole.indexOf("**", 2) + 2).replace(/^[:.\s]+/, "");
  }
  return null;
}

export function page(text) {
  return blocks(text).map(({ kind, lines }) => {
    if (kind === "code") return code(lines);
    if (kind === "table") return table(lines);
    if (kind === "list") return list(lines);
    if (kind === "text") return h("p", {}, inline(lines.join(" ")));
    const level = /^#+/.exec(lines[0])[0].length;
    return level === 1 ? null : h(`h${Math.min(level + 1, 6)}`, {}, inline(lines[0].slice(level).trim()));
  });
}
