// What somebody has in hand, which a page that draws itself anew must not take from them.

// What a thing is found by when its view was drawn anew, the surest first.
const MARKS = ["id", "data-key", "name", "href", "aria-label"];

const filled = (field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked;

/** Whether a redrawing would cost somebody something: a dialog, a form, a text unfolded or chosen, a name revealed, a row they are at. */
export function inHand(main) {
  const chosen = getSelection();
  return Boolean(
    document.querySelector("dialog[open]") ||
      main.querySelector("details[open], [data-revealed]") ||
      document.activeElement?.matches("main a[data-row], main svg a") ||
      [...main.querySelectorAll("input, textarea")].some(filled) ||
      (!chosen.isCollapsed && main.contains(chosen.anchorNode)),
  );
}

/** Remembers what in there has the focus; gives what gives it back after a redrawing and says whether it could. */
export function focusWithin(main) {
  const held = document.activeElement;
  if (held === main || !main.contains(held)) return null;
  const mark = MARKS.find((name) => held.hasAttribute(name));
  // An alert is linked from the timeline and from its row: those are two things.
  const alike = (other) =>
    other.namespaceURI === held.namespaceURI &&
    other.hasAttribute("data-row") === held.hasAttribute("data-row") &&
    (mark ? other.getAttribute(mark) === held.getAttribute(mark) : held.localName === "h1" || other.textContent === held.textContent);
  const found = () => [...main.querySelectorAll(held.localName)].filter(alike);
  const place = found().indexOf(held);
  return () => {
    const again = found();
    again[Math.min(place, again.length - 1)]?.focus({ preventScroll: true });
    return again.length > 0;
  };
}
