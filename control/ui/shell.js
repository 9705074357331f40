// What stands around every view: where one can go, whether Weir sees, and who looks.

import { ask, keep } from "/ui/api.js";
import { h, show } from "/ui/dom.js";
import * as live from "/ui/live.js";
import { outside } from "/ui/text.js";
import * as theme from "/ui/theme.js";

const PLACES = [
  [
    "What was found",
    [
      ["#/", "Overview", "o"],
      ["#/incidents", "Incidents", "i"],
      ["#/alerts", "Alerts", "a"],
      ["#/suppressions", "Suppressions", "s"],
    ],
  ],
  [
    "What is there",
    [
      ["#/equipment", "Equipment", "e"],
      ["#/topology", "Topology", "t"],
      ["#/sessions", "Sessions", "n"],
    ],
  ],
  [
    "What holds",
    [
      ["#/policy", "Policy", "p"],
      ["#/detections", "Detections", "d"],
      ["#/audit", "Audit", "u"],
    ],
  ],
];

/** The keys that lead to places, after `g`. */
export const KEYS = Object.fromEntries(PLACES.flatMap(([, places]) => places).map(([target, , key]) => [key, target]));

/** Who looks; null until it is known. */
export let you = null;
export const mayWrite = () => you !== null && you.role !== "viewer";
export const maySeeAudit = () => you?.role === "admin" || you?.role === "restricted";

const deafen = [];
const WORDS = { open: ["seeing", "live"], connecting: ["wait", "connecting"], lost: ["away", "no connection"] };

function seeing() {
  const { state, link } = live.now;
  if (link !== "open" || !state) return WORDS[link === "open" ? "connecting" : link];
  if (!state.up) return state.replay ? ["wait", "replay ended"] : ["away", "sensor away"];
  if (state.not_inspected_per_second > 0) return ["losing", "losing frames"];
  if (state.reason) return ["losing", "not ready"];
  return ["seeing", state.replay ? "replaying" : "live"];
}

/** Builds the shell; gives where views go. */
export function build(signOut) {
  const sight = h("a", { class: "sight", href: "#/" });
  const site = h("span", { class: "site" });
  const person = h("span", { class: "person" });
  const dark = h("button", {
    type: "button",
    class: "quiet",
    onclick: () => {
      theme.toggle();
      label();
    },
  });
  const label = () => show(dark, theme.isDark() ? "Light" : "Dark");
  label();
  const menu = h("button", { type: "button", class: "menu quiet", "aria-expanded": "false", "aria-controls": "places" }, "Menu");
  menu.addEventListener("click", () => open(menu.getAttribute("aria-expanded") !== "true"));
  const open = (is) => {
    menu.setAttribute("aria-expanded", String(is));
    places.classList.toggle("open", is);
  };
  const places = h(
    "nav",
    { id: "places", class: "places", "aria-label": "Views" },
    PLACES.map(([title, group]) =>
      h(
        "div",
        {},
        h("h2", {}, title),
        h(
          "ul",
          {},
          group.map(([target, name]) => h("li", { "data-place": name }, h("a", { href: target }, name))),
        ),
      ),
    ),
  );
  places.addEventListener("click", (event) => event.target.closest("a") && open(false));
  const main = h("main", { id: "main", tabindex: "-1" });
  document.body.replaceChildren(
    h(
      "a",
      {
        class: "skip",
        href: "#main",
        onclick: (event) => {
          event.preventDefault();
          main.focus();
          main.scrollIntoView();
        },
      },
      "Skip to the content",
    ),
    h(
      "header",
      { class: "top" },
      menu,
      h(
        "a",
        { class: "brand", href: "#/", "aria-label": "Weir, overview" },
        h("img", { src: "/ui/weir.svg", alt: "", width: 24, height: 24 }),
        h("span", {}, "Weir"),
      ),
      site,
      h("span", { role: "status" }, sight),
      h("span", { class: "space" }),
      h("button", { type: "button", class: "quiet wide", "data-help": true, "aria-label": "Keys" }, "?"),
      dark,
      person,
      h("button", { type: "button", class: "quiet", onclick: signOut }, "Sign out"),
    ),
    places,
    main,
    h("div", { id: "said", role: "status", "aria-live": "polite" }),
  );
  let said = null;
  const tell = () => {
    const [kind, word] = seeing();
    // It is read out when it changes, and not each second.
    if (said !== word) show(sight, h("span", { class: "light", "aria-hidden": "true" }), word);
    said = word;
    sight.className = `sight ${kind}`;
    show(site, outside(live.now.state?.site ?? "", 24));
  };
  // Whoever signed in before has a frame of their own, which hears nothing any more.
  deafen.splice(0).forEach((end) => end());
  deafen.push(live.on("state", tell), live.on("link", tell));
  tell();
  return { main, person };
}

/** Asks who looks, and says it. */
export async function introduce({ person }, signal) {
  const health = await ask("health", { signal });
  you = health.you;
  show(person, outside(you.name, 24), h("span", { class: "tag" }, you.role));
  document.querySelector("[data-place=Audit]").hidden = !maySeeAudit();
}

export function forget() {
  you = null;
  keep(null);
}

/** Marks the place of the view that is shown. */
export function place(name) {
  for (const item of document.querySelectorAll("[data-place]")) {
    const link = item.firstElementChild;
    if (item.dataset.place === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
