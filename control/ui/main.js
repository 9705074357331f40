// The beginning: the token, the address and what it shows, the keys.

import * as api from "/ui/api.js";
import { h, show } from "/ui/dom.js";
import * as live from "/ui/live.js";
import { dialog, said } from "/ui/parts/dialog.js";
import { focusWithin, inHand } from "/ui/parts/hand.js";
import { step } from "/ui/parts/list.js";
import { failed, loading } from "/ui/parts/notice.js";
import { plain } from "/ui/plain.js";
import * as shell from "/ui/shell.js";
import * as theme from "/ui/theme.js";
import { alert } from "/ui/views/alert.js";
import { alerts } from "/ui/views/alerts.js";
import { audit } from "/ui/views/audit.js";
import { detection, list as detections } from "/ui/views/detections.js";
import { equipment } from "/ui/views/equipment.js";
import { incident } from "/ui/views/incident.js";
import { incidents } from "/ui/views/incidents.js";
import { node } from "/ui/views/node.js";
import { overview } from "/ui/views/overview.js";
import { policy } from "/ui/views/policy.js";
import { sessions } from "/ui/views/sessions.js";
import { signIn } from "/ui/views/signin.js";
import { suppressions } from "/ui/views/suppressions.js";
import { topology } from "/ui/views/topology.js";

// A view is given {path, query, signal, on, again, renew} and gives {title, content}. `on` listens until it is left; `again` draws it
// anew since somebody did something, `renew` since something changed by itself.
const VIEWS = [
  [/^\/$/, overview, "Overview"],
  [/^\/incidents$/, incidents, "Incidents"],
  [/^\/incidents\/(\d+)$/, incident, "Incidents"],
  [/^\/alerts$/, alerts, "Alerts"],
  [/^\/alerts\/([0-9a-f]{16})$/, alert, "Alerts"],
  [/^\/suppressions$/, suppressions, "Suppressions"],
  [/^\/equipment$/, equipment, "Equipment"],
  [/^\/equipment\/(.+)$/, node, "Equipment"],
  [/^\/topology$/, topology, "Topology"],
  [/^\/sessions$/, sessions, "Sessions"],
  [/^\/policy$/, policy, "Policy"],
  [/^\/detections$/, detections, "Detections"],
  [/^\/detections\/([A-Z0-9-]+)$/, detection, "Detections"],
  [/^\/audit$/, audit, "Audit"],
];

// Failures that pass: what is shown is worth more than they are.
const PASSING = [0, 429, 503];

let frame = null;
// Ends what is shown; gives up what was asked for to be shown instead; gives up finding out who looks.
let leave = () => {};
let drop = () => {};
let entering = new AbortController();

/** A token in the address is taken out of it at once, so that it is in no history and no picture. Tells whether there was one. */
function tokenOfAddress() {
  const [, given] = /^#token=(.*)$/s.exec(location.hash) ?? [];
  if (given === undefined) return false;
  history.replaceState(null, "", "#/");
  const whole = /^[A-Za-z0-9_.-]+$/.test(given);
  if (whole) api.keep(given);
  return whole;
}

function parsed() {
  const [path, query] = location.hash.replace(/^#/, "").split("?", 2);
  return { path: path || "/", query: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

/**
 * Shows what the address says. `quietly`: the same view again, in place of the one that stands until then; the focus stays.
 * `gently`: not even that while somebody has something in hand, or what passes is in the way; it is offered then.
 */
async function go({ quietly = false, gently = false } = {}) {
  if (!frame) return;
  const { main } = frame;
  if (gently && inHand(main)) {
    offer(main);
    return;
  }
  drop();
  if (!quietly) leave();
  const { path, query } = parsed();
  const found = VIEWS.map(([form, view, place]) => [form.exec(path), view, place]).find(([match]) => match);
  const ended = new AbortController();
  const ends = [() => ended.abort()];
  const end = () => ends.splice(0).forEach((one) => one());
  drop = end;
  let shown;
  const drawn = new Promise((resolve) => {
    shown = resolve;
  });
  const context = {
    path,
    query,
    signal: ended.signal,
    named: found?.[0]?.[1] === undefined ? null : safely(found[0][1]),
    on: (kind, listener) => ends.push(live.on(kind, listener)),
    again: () => go({ quietly: true }),
    renew: () => drawn.then(() => (ended.signal.aborted ? undefined : go({ quietly: true, gently: true }))),
  };
  const replace = (...content) => {
    leave();
    [leave, drop] = [end, () => {}];
    show(main, content);
    shown();
  };
  shell.place(found?.[2]);
  main.setAttribute("aria-busy", "true");
  const waiting = quietly ? null : setTimeout(() => show(main, loading((found?.[2] ?? "it").toLowerCase())), 150);
  try {
    if (!found) throw new api.Failure(404, `nothing is shown under ${path}`);
    const { title, content } = await found[1](context);
    if (ended.signal.aborted) return;
    if (gently && inHand(main)) {
      end();
      offer(main);
      return;
    }
    document.title = `${plain(title)} · Weir`;
    const [scrolled, refocus] = quietly ? [scrollY, focusWithin(main)] : [0, () => false];
    replace(content);
    scrollTo(0, scrolled);
    // What somebody did may have taken its own button away; what changed by itself moves nobody.
    if (refocus && !refocus() && !gently) main.querySelector("h1")?.focus({ preventScroll: true });
  } catch (error) {
    if (ended.signal.aborted || error.status === 401) return;
    if (!(error instanceof api.Failure)) console.error(error);
    if (gently && PASSING.includes(error.status)) {
      end();
      offer(main);
      return;
    }
    replace(failed(error, () => go()));
  } finally {
    clearTimeout(waiting);
    // Unless another one took its place.
    if (drop === end || leave === end) {
      main.setAttribute("aria-busy", "false");
      main.dataset.shows = location.hash;
    }
  }
}

/** Says that what is shown is not the latest, and leaves it to whoever looks when to see that. */
function offer(main) {
  if (main.querySelector(".offered")) return;
  main.prepend(h("button", { type: "button", class: "news offered", onclick: () => go({ quietly: true }) }, "Changed: show"));
  said("What is shown here has changed.");
}

function safely(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** Nobody looks any more, and nothing that was asked for is waited for. */
function quit() {
  entering.abort();
  live.stop();
  drop();
  leave();
  frame = null;
}

function signOut() {
  shell.forget();
  enter("You are signed out.");
}

/** Asks for a token. */
function enter(why) {
  quit();
  document.title = "Sign in · Weir";
  document.body.replaceChildren(signIn(why, begin));
  document.querySelector("input").focus();
}

/** Whoever has the token looks from here on. */
async function begin() {
  quit();
  entering = new AbortController();
  const { signal } = entering;
  const built = shell.build(signOut);
  show(built.main, loading("who you are"));
  try {
    await shell.introduce(built, signal);
  } catch (error) {
    if (signal.aborted || error.status === 401) return;
    show(built.main, failed(error, begin));
    return;
  }
  if (signal.aborted) return;
  frame = built;
  live.start();
  await go();
}

function help() {
  const keys = [
    ["j, k", "next and previous row"],
    ["Enter", "open it"],
    ["/", "search"],
    ["r", "show what changed, where that is offered"],
    ["g then o i a s e t n p d u", "overview, incidents, alerts, suppressions, equipment, topology, sessions, policy, detections, audit"],
    ["a, c, m", "on an alert or incident: acknowledge, close, suppress (mute)"],
    ["Esc", "leave a dialog"],
    ["?", "this"],
  ];
  dialog({
    title: "Keys",
    body: [
      h(
        "dl",
        { class: "keys" },
        keys.map(([key, does]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, does))),
      ),
      h(
        "label",
        { class: "pick" },
        h("input", { type: "checkbox", name: "keys", checked: listening(), onchange: (event) => listen(event.target.checked) }),
        "Keys of one letter do this. Without them, this stands behind ? above.",
      ),
    ],
    confirm: "Close",
  });
}

// Who dictates, or has a hand that shakes, can do without keys of one letter.
const SILENCED = "weir.keys";
const listening = () => localStorage.getItem(SILENCED) !== "off";

function listen(does) {
  if (does) localStorage.removeItem(SILENCED);
  else localStorage.setItem(SILENCED, "off");
}

let goes = false;

function key(event) {
  if (!listening()) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !frame) return;
  if (event.target.closest("input, textarea, select, dialog")) return;
  const leads = goes ? shell.KEYS[event.key] : null;
  goes = event.key === "g" && !goes;
  const does = leads
    ? () => {
        location.hash = leads;
      }
    : ({
        j: () => step(1),
        k: () => step(-1),
        r: () => document.querySelector("main .news:not([hidden])")?.click(),
        "/": () => document.querySelector("main [data-search]")?.focus(),
        "?": help,
      }[event.key] ?? pressed(event.key));
  if (!does) return;
  event.preventDefault();
  does();
}

/** What a view's buttons do by key. */
function pressed(key) {
  const button = /^[acm]$/.test(key) && document.querySelector(`main button[data-key=${key}]`);
  return button && (() => button.click());
}

theme.apply();
addEventListener("hashchange", () => (tokenOfAddress() ? begin() : go()));
addEventListener("keydown", key);
document.addEventListener("click", (event) => event.target.closest?.("[data-help]") && help());
api.signedOut.addEventListener("signedout", () => {
  if (document.querySelector("main.signin")) return;
  const held = api.token();
  shell.forget();
  enter(held ? "That token is not known here, or it is over." : null);
});
tokenOfAddress();
begin();
