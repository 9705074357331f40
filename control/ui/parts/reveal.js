// Shows who a subscriber is, for a reason that is kept.

import { h, show } from "/ui/dom.js";
import { dialog } from "/ui/parts/dialog.js";
import { outside } from "/ui/text.js";

const AUDITED = "Who you are, what you asked and why is written to the audit and the journal, where nobody can take it out.";

/** Asks for a reason and does with it what reveals somebody; gives what that gave, or null. */
export function forAReason(title, confirm, act) {
  const reason = h(
    "label",
    {},
    h("span", {}, "Reason"),
    h("textarea", { name: "reason", rows: 2, required: true, minlength: 3, maxlength: 2000, autofocus: true }),
  );
  return dialog({ title, body: [h("p", {}, AUDITED), reason], confirm, act: (values) => act(values.reason) });
}

/** The addresses that were told, each in a line. They are not to be had again without another reason. */
export function told(place, addresses) {
  place.dataset.revealed = "";
  show(
    place,
    addresses.map((address) => h("span", { class: "line" }, outside(address, 80))),
    h("span", { class: "sub" }, "shown to you alone, audited"),
  );
}
