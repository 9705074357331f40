// What is told as it happens: /stream, read by fetch since EventSource sends no token.
// A page that is left open for days keeps five minutes of numbers and nothing else.

import { request } from "/ui/api.js";

/** Seconds that are remembered. */
export const SPAN = 300;
// Bytes of one event that are waited for, and how long a silent stream is trusted: each second has a state.
const MOST = 1 << 20;
const SILENT = 20_000;
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
/** How often something is asked for again while news come, at most. */
const PATIENCE = 3_000;

const listeners = { state: new Set(), alert: new Set(), link: new Set() };
let stopped = new AbortController();
let wait = FIRST_WAIT;
// When the last state was of; it outlives whoever looks, as the series do.
let told = null;

/** The last state that was told, and whether the stream stands. */
export const now = { state: null, link: "connecting" };

/** Values of the last minutes, the newest last. */
export class Series {
  constructor(length = SPAN) {
    this.values = new Float64Array(length).fill(NaN);
    this.at = 0;
  }

  /** One more, after so many that are not known. */
  push(value, unknown = 0) {
    for (let step = Math.min(unknown, this.values.length); step > 0; step -= 1) this.put(NaN);
    this.put(value ?? NaN);
  }

  put(value) {
    this.values[this.at] = value;
    this.at = (this.at + 1) % this.values.length;
  }

  *[Symbol.iterator]() {
    for (let step = 0; step < this.values.length; step += 1) yield this.values[(this.at + step) % this.values.length];
  }
}

export const series = { packets: new Series(), bits: new Series(), missed: new Series() };

/** Listens to `state`, `alert` (null: of some it is not told which) or `link`; gives the function that ends it. */
export function on(kind, listener) {
  listeners[kind].add(listener);
  return () => listeners[kind].delete(listener);
}

/** Does something after news: after a while, once for all that come meanwhile, and not while it is at it. Gives what to call at news. */
export function calmly(act, signal) {
  let due = null;
  let more = false;
  const call = () => {
    if (signal.aborted) return;
    if (due === null) due = setTimeout(run, PATIENCE);
    else more = true;
  };
  const run = async () => {
    more = false;
    try {
      await act();
    } finally {
      due = null;
      if (more) call();
    }
  };
  signal.addEventListener("abort", () => clearTimeout(due));
  return call;
}

function tell(kind, value) {
  for (const listener of listeners[kind]) listener(value);
}

function link(state) {
  if (now.link === state) return;
  const back = now.link === "lost" && state === "open";
  now.link = state;
  tell("link", state);
  // What changed meanwhile, nobody told.
  if (back) tell("alert", null);
}

/** Whole seconds between two states of which none was told. By control's clock: a browser that slept reads them all at once. */
function silence(before, after) {
  const passed = Math.floor((Date.parse(after) - Date.parse(before)) / 1000);
  return passed > 1 ? passed - 1 : 0;
}

function take(kind, data) {
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    return;
  }
  if (kind === "state") {
    const unknown = silence(told, value.time);
    told = value.time;
    now.state = value;
    series.packets.push(value.packets_per_second, unknown);
    series.bits.push(value.bits_per_second, unknown);
    series.missed.push(value.not_inspected_per_second, unknown);
    wait = FIRST_WAIT;
    link("open");
    tell("state", value);
  } else if (kind === "alert") {
    tell("alert", value);
  } else if (kind === "missed") {
    // Some changed that are not told of one by one.
    tell("alert", null);
  }
}

/** Cuts a stream of server-sent events into events; `rest` is the one that is not whole. */
export function parse(text, each) {
  let from = 0;
  for (;;) {
    const end = text.indexOf("\n\n", from);
    if (end < 0) return text.slice(from);
    let kind = "message";
    let data = "";
    for (const line of text.slice(from, end).split("\n")) {
      if (line.startsWith("event:")) kind = line.slice(6).trim();
      else if (line.startsWith("data:")) data += (data && "\n") + line.slice(5).replace(/^ /, "");
    }
    if (data) each(kind, data);
    from = end + 2;
  }
}

async function read(signal) {
  const ended = new AbortController();
  const end = () => ended.abort();
  signal.addEventListener("abort", end);
  let watchdog = setTimeout(end, SILENT);
  let reader;
  try {
    const answer = await request("stream", { signal: ended.signal, accept: "text/event-stream" });
    reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(end, SILENT);
      rest = parse(rest + decoder.decode(value, { stream: true }).replaceAll("\r\n", "\n"), take);
      if (rest.length > MOST) return;
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", end);
    ended.abort();
    reader?.cancel().catch(() => {});
  }
}

const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });

async function follow(signal) {
  while (!signal.aborted) {
    let least = 0;
    try {
      await read(signal);
    } catch (error) {
      if (error.status === 401) return;
      least = (error.retry ?? 0) * 1000;
    }
    if (signal.aborted) return;
    link("lost");
    // Pages that lost the same server must not all come back in the same moment.
    await pause(Math.max(least, wait * (0.75 + Math.random() / 2)), signal);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  }
}

export function start() {
  stop();
  stopped = new AbortController();
  now.link = "connecting";
  follow(stopped.signal);
}

export function stop() {
  stopped.abort();
  now.state = null;
}
