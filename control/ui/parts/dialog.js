// Asks somebody for something before it is done.

import { h, show } from "/ui/dom.js";
import { remedy } from "/ui/parts/notice.js";

/**
 * A dialog with a form. `act(values)` does it and may fail: then the dialog stays and says why.
 * Gives what `act` gave, or null if nobody wanted it. Without `act` there is nothing to do but to read it.
 */
export function dialog({ title, body, confirm, act = null, danger = false }) {
  return new Promise((resolve) => {
    let result = null;
    const trouble = h("p", { class: "trouble", role: "alert" });
    const button = h("button", { type: "submit", class: danger ? "danger" : "primary" }, confirm);
    const submit = async (event) => {
      event.preventDefault();
      const values = Object.fromEntries([...new FormData(event.target)].map(([name, value]) => [name, String(value).trim()]));
      button.disabled = true;
      try {
        result = (await act?.(values)) ?? true;
        element.close();
      } catch (error) {
        show(trouble, error.message, ". ", error.status === undefined || error.status === 400 ? "Mend that and try again." : remedy(error));
      } finally {
        button.disabled = false;
      }
    };
    const element = h(
      "dialog",
      { "aria-label": title },
      h(
        "form",
        { onsubmit: submit },
        h("h2", {}, title),
        body,
        trouble,
        h("div", { class: "buttons" }, act && h("button", { type: "button", onclick: () => element.close() }, "Cancel"), button),
      ),
    );
    element.addEventListener("close", () => {
      element.remove();
      resolve(result);
    });
    document.body.append(element);
    element.showModal();
    element.querySelector("[autofocus]")?.focus();
  });
}

/** Says for a moment that something was done. */
export function said(text) {
  const place = document.querySelector("#said");
  const element = h("p", {}, text);
  show(place, element);
  setTimeout(() => element.remove(), 8_000);
}
