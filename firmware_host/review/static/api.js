// Asking the server: `get` and `send` return what it answers, or throw an error whose message is its sentence.
import { t } from "./texts.js";

/** Return what is at a path below /api: an object, or an ArrayBuffer for what is no JSON. */
export function get(path, query = {}, options = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const parameters = new URLSearchParams(pairs.flatMap(([name, value]) => [value].flat().map((one) => [name, one])));
  const question = parameters.size ? `?${parameters}` : "";
  return ask(path + question, options);
}

/** Send a change: POST, PUT or DELETE. */
export function send(method, path, body) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

/** Return a path with its parts escaped: at`/nights/${name}/map`. */
export function at(texts, ...values) {
  return String.raw({ raw: texts }, ...values.map(encodeURIComponent));
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(`/api${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(t("errors.no_answer"), { cause: error });
  }
  const json = answer.headers.get("content-type")?.startsWith("application/json");
  if (!answer.ok) {
    const problem = new Error((json && (await answer.json()).error) || t("errors.fault"));
    problem.status = answer.status;
    throw problem;
  }
  if (answer.status === 204) return null;
  return json ? answer.json() : answer.arrayBuffer();
}
