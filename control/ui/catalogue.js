// The detections' names and texts, asked for once.

import { ask, text } from "/ui/api.js";

let asked = null;
const texts = new Map();

/** All of them, by id. */
export function all() {
  asked ??= ask("detections").then((list) => new Map(list.map((known) => [known.id, known])));
  asked.catch(() => {
    asked = null;
  });
  return asked;
}

/** The page of documentation of one. */
export function documentation(id) {
  if (!texts.has(id)) {
    const page = text(`/ui/detections/${id.toLowerCase()}.md`);
    texts.set(id, page);
    page.catch(() => texts.delete(id));
  }
  return texts.get(id);
}
