// Puts an alert or an incident where somebody wants it.

import { tell } from "/ui/api.js";
import { h } from "/ui/dom.js";
import { dialog, said } from "/ui/parts/dialog.js";
import { mayWrite } from "/ui/shell.js";
import { some } from "/ui/text.js";

const DEEDS = {
  acknowledged: ["Acknowledge", "a", "You work on it. It becomes new again if it is told to be graver."],
  closed: ["Close", "c", "You are done with it. It becomes new again if it goes on: at ten times its packets, or if it becomes graver."],
  new: ["Make new", null, "Somebody is to look at it again."],
};

/** Buttons for what may become of it; `what` names it, `path` is its place in the interface. */
export function statusButtons({ what, path, stands, again }) {
  if (!mayWrite()) return [];
  return Object.entries(DEEDS)
    .filter(([status]) => status !== stands && (status !== "new" || stands !== "suppressed"))
    .map(([status, [label, key, meaning]]) =>
      h(
        "button",
        {
          type: "button",
          "data-key": key,
          title: key && `Key: ${key}`,
          class: status === "acknowledged" ? "primary" : null,
          onclick: async () => {
            const done = await dialog({
              title: `${label}: ${what}`,
              body: [
                h("p", {}, meaning),
                h(
                  "label",
                  {},
                  h("span", {}, "Note, for whoever comes after you"),
                  h("textarea", { name: "note", rows: 3, maxlength: 2000, autofocus: true }),
                ),
              ],
              confirm: label,
              act: ({ note }) => tell(`${path}/status`, note ? { status, note } : { status }),
            });
            if (!done) return;
            said(`${some(done.alerts, "alert")} now ${status}${done.pending ? ", more follow" : ""}.`);
            again();
          },
        },
        label,
      ),
    );
}
