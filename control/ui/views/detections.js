// What Weir looks for, in the words of the documentation.

import * as catalogue from "/ui/catalogue.js";
import { h } from "/ui/dom.js";
import { blocks, inline, page } from "/ui/markdown.js";
import { tag } from "/ui/parts/badge.js";
import { facts, panel } from "/ui/parts/fact.js";
import { address, rowLink, table } from "/ui/parts/list.js";
import { techniques } from "/ui/views/alert.js";

/** What it means: the first sentences of its page. */
function meaning(text) {
  const first = blocks(text).find(({ kind }) => kind === "text");
  return first ? first.lines.join(" ") : "";
}

export async function list({ signal }) {
  const names = [...(await catalogue.all()).values()];
  const texts = await Promise.all(names.map(({ id }) => catalogue.documentation(id)));
  const meanings = new Map(names.map(({ id }, at) => [id, meaning(texts[at])]));
  if (signal.aborted) return { title: "Detections", content: [] };
  return {
    title: "Detections",
    content: [
      h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Detections")),
      h(
        "p",
        { class: "soft" },
        "What Weir looks for. Each page says when it fires, what it stays silent for, which causes are harmless, and what to do.",
      ),
      table(
        "Detections",
        [
          {
            name: "Detection",
            kind: "main",
            cell: ({ id, signature, restricted }) => [
              rowLink(`#/detections/${id}`, id),
              h("span", { class: "sub" }, signature),
              restricted && tag("restricted", "Only the role restricted sees what it finds"),
            ],
          },
          { name: "What it means", kind: "words", cell: ({ id }) => inline(meanings.get(id)) },
          { name: "Technique", cell: ({ technique }) => techniques(technique) },
        ],
        names,
      ),
    ],
  };
}

export async function detection({ named: id }) {
  const known = (await catalogue.all()).get(id);
  const text = await catalogue.documentation(id);
  return {
    title: id,
    content: [
      h("p", { class: "crumbs" }, h("a", { href: "#/detections" }, "Detections")),
      h(
        "div",
        { class: "head" },
        h(
          "div",
          {},
          h("h1", { tabindex: "-1" }, known?.signature ?? id),
          h("p", { class: "under" }, tag(id), known?.restricted && tag("restricted")),
        ),
      ),
      h(
        "div",
        { class: "columns" },
        h("article", { class: "panel prose" }, page(text)),
        h(
          "div",
          {},
          panel("In short", facts(["Id", id], ["signature_id", known?.signature_id], ["Category", known?.category])),
          panel("Technique", techniques(known?.technique)),
          panel("What it found", h("p", {}, h("a", { href: address("/alerts", { detection: id }) }, "Its alerts"))),
        ),
      ),
    ],
  };
}
