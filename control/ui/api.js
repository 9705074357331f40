// The one place that asks weir-control: /api/v1, with the token of whoever looks.

const BASE = "/api/v1/";
const KEY = "weir.token";

/** Why there is no answer. `status` is that of HTTP, 0 where nobody answered. */
export class Failure extends Error {
  constructor(status, message, retry = null) {
    super(message);
    this.status = status;
    /** Seconds until it is worth asking again, if they are told. */
    this.retry = retry;
  }
}

/** Tells that a token is needed, or another one. */
export const signedOut = new EventTarget();

export const token = () => sessionStorage.getItem(KEY);

export function keep(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

function address(path, query) {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return BASE + path + (entries.length ? `?${new URLSearchParams(entries)}` : "");
}

/** A request with the token; the answer is there, but is not read. */
export async function request(path, { query, signal, body, accept = "application/json" } = {}) {
  const headers = { Accept: accept };
  const held = token();
  if (held) headers.Authorization = `Bearer ${held}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(address(path, query), {
      method: body === undefined ? "GET" : "POST",
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "weir-control does not answer");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  // A late answer to a token that was given up says nothing of the one that came after it.
  if (answer.status === 401 && held === token()) signedOut.dispatchEvent(new Event("signedout"));
  const retry = Number(answer.headers.get("Retry-After"));
  const failure = new Failure(answer.status, told.error ?? `the answer was ${answer.status}`, retry > 0 ? retry : null);
  failure.told = told;
  throw failure;
}

/** Asks for something. */
export const ask = async (path, options) => (await request(path, options)).json();

/** Has something done. */
export const tell = async (path, body, options) => (await request(path, { ...options, body })).json();

/** A file of the page itself. */
export async function text(path, signal) {
  const answer = await fetch(path, { signal, credentials: "omit" });
  if (!answer.ok) throw new Failure(answer.status, `there is no ${path}`);
  return answer.text();
}
