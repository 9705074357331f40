// The beginning: the token, the address and what it shows, the keys.

import * as api from "/ui/api.js";
import { h, show } from "/ui/dom.js";
import * as live from "/ui/live.js";
import { dialog } from "/ui/parts/dialog.js";
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

// A view is given {path, query, signal, on} and gives {title, content}; `on` listens until it is left.
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

let frame = null;
let leave = () => {};

/** A token in the address is taken out of it at once, so that it is in no history and no picture. */
function tokenOfAddress() {
  const given = /^#token=([A-Za-z0-9_.-]+)$/.exec(location.hash);
  if (!given) return;
  api.keep(given[1]);
  history.replaceState(null, "", "#/");
}

function parsed() {
  const [path, query] = location.hash.replace(/^#/, "").split("?", 2);
  return { path: path || "/", query: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

/** Shows what the address says. `quietly`: the same view again, the focus stays. */
async function go({ quietly = false } = {}) {
  if (!frame) return;
  tokenOfAddress();
  leave();
  const { path, query } = parsed();
  const found = VIEWS.map(([form, view, place]) => [form.exec(path), view, place]).find(([match]) => match);
  const ended = new AbortController();
  const ends = [() => ended.abort()];
  leave = () => ends.splice(0).forEach((end) => end());
  const context = {
    path,
    query,
    signal: ended.signal,
    named: found?.[0]?.[1] === undefined ? null : safely(found[0][1]),
    on: (kind, listener) => ends.push(live.on(kind, listener)),
    again: () => go({ quietly: true }),
  };
  shell.place(found?.[2]);
  const { main } = frame;
  main.setAttribute("aria-busy", "true");
  const waiting = setTimeout(() => show(main, loading((found?.[2] ?? "it").toLowerCase())), quietly ? 2_000 : 150);
  try {
    if (!found) throw new api.Failure(404, `nothing is shown under ${path}`);
    const { title, content } = await found[1](context);
    if (ended.signal.aborted) return;
    document.title = `${plain(title)} · Weir`;
    const [scrolled, focused] = quietly ? [scrollY, named(main.contains(document.activeElement) && document.activeElement)] : [0, null];
    show(main, content);
    scrollTo(0, scrolled);
    ((focused && main.querySelector(focused)) ?? main.querySelector("h1"))?.focus({ preventScroll: true });
  } catch (error) {
    if (ended.signal.aborted || error.status === 401) return;
    if (!(error instanceof api.Failure)) console.error(error);
    show(
      main,
      failed(error, () => go()),
    );
  } finally {
    clearTimeout(waiting);
    if (!ended.signal.aborted) {
      main.setAttribute("aria-busy", "false");
      main.dataset.shows = location.hash;
    }
  }
}

/** What the same thing is found by when its view was drawn anew. */
function named(element) {
  const target = element && element.getAttribute("href");
  return target ? `a[href="${CSS.escape(target)}"]` : null;
}

function safely(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function signOut() {
  live.stop();
  leave();
  shell.forget();
  enter("You are signed out.");
}

/** Asks for a token. */
function enter(why) {
  frame = null;
  document.title = "Sign in · Weir";
  document.body.replaceChildren(signIn(why, begin));
  document.querySelector("input").focus();
}

async function begin() {
  const built = shell.build(signOut);
  show(built.main, loading("who you are"));
  try {
    await shell.introduce(built);
  } catch (error) {
    if (error.status === 401) return;
    show(built.main, failed(error, begin));
    return;
  }
  frame = built;
  live.start();
  await go();
}

function help() {
  const keys = [
    ["j, k", "next and previous row"],
    ["Enter", "open it"],
    ["/", "search"],
    ["g then o i a s e t n p d u", "overview, incidents, alerts, suppressions, equipment, topology, sessions, policy, detections, audit"],
    ["a, c, m", "on an alert or incident: acknowledge, close, suppress (mute)"],
    ["Esc", "leave a dialog"],
    ["?", "this"],
  ];
  dialog({
    title: "Keys",
    body: h(
      "dl",
      { class: "keys" },
      keys.map(([key, does]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, does))),
    ),
    confirm: "Close",
  });
}

let goes = false;

function key(event) {
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
addEventListener("hashchange", () => go());
addEventListener("keydown", key);
document.addEventListener("click", (event) => event.target.closest?.("[data-help]") && help());
api.signedOut.addEventListener("signedout", () => {
  if (document.querySelector("main.signin")) return;
  const held = api.token();
  live.stop();
  leave();
  shell.forget();
  enter(held ? "That token is not known here, or it is over." : null);
});
tokenOfAddress();
begin();
