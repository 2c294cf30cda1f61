/** What `load` was asked for, before anything is fetched: a name that is not known is a slip, and never left out in silence. */

import { PortsideError } from "./errors.js";
import { brief } from "./refusal.js";

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const text = (value) => typeof value === "string";
const flag = (value) => typeof value === "boolean";
const call = (value) => typeof value === "function";
const object = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const count = (value) => Number.isInteger(value) && value >= 1;
const positive = (value) => Number.isFinite(value) && value > 0;
const share = (value) => value > 0 && value <= 1;
const least0 = (value) => Number.isFinite(value) && value >= 0;

/** @typedef {[(value: any) => boolean, string]} Rule what a value has to be, in code and in words */

/** @type {Record<string, Rule>} */
const LOAD = {
  threads: [count, "a whole number, at least 1"], worker: [flag, "true or false"], digest: [(value) => text(value) && DIGEST.test(value), "sha256: and 64 hexadecimal digits"],
  failover: [object, "an object"], fetch: [call, "a function"], onprogress: [call, "a function"],
};
/** @type {Record<string, Rule>} */
const FAILOVER = {
  deadline_ms: [positive, "milliseconds, more than 0"], reserve_ms: [least0, "milliseconds, at least 0"], grace_ms: [least0, "milliseconds, at least 0"],
  breaker: [object, "an object"], chain: [Array.isArray, "a list"],
};
/** @type {Record<string, Rule>} */
const BREAKER = {
  failures: [count, "a whole number, at least 1"], open_ms: [positive, "milliseconds, more than 0"],
  max_open_ms: [positive, "milliseconds, more than 0"], probe_ms: [positive, "milliseconds, more than 0"],
  probes: [count, "a whole number, at least 1"], error_rate: [share, "a share above 0 and up to 1"], slow_rate: [share, "a share above 0 and up to 1"],
  slow_ms: [positive, "milliseconds, more than 0"], min_calls: [count, "a whole number, at least 1"], window_ms: [positive, "milliseconds, more than 0"],
  window_calls: [count, "a whole number, at least 1"],
};
/** @type {Record<string, Record<string, Rule>>} */
const LINKS = {
  endpoint: { url: [text, "an address"], timeout_ms: [positive, "milliseconds, more than 0"] },
  cache: {
    ttl_s: [positive, "seconds, more than 0"], stale: [flag, "true or false"], first: [flag, "true or false"], max_entries: [count, "a whole number, at least 1"],
  },
};
const KINDS = ["endpoint", "cache", "default"];

/** `load(url, options)` and `load(options)`, checked. @param {any} url @param {any} options @returns {{url: string|URL|undefined, options: any}} */
export function asked(url, options) {
  if (object(url) && !("href" in url)) {
    if (options !== undefined) throw wrong("InputError", "The options of load come after the address of the bundle", brief(url), "load(url, options) or load(options)");
    return asked(undefined, url);
  }
  checkNames("InputError", "load", "option", options ?? {}, LOAD);
  if (options?.failover) checkFailover(options.failover);
  return { url: url ?? undefined, options: options ?? {} };
}

/** The words of a deployment file's [failover]. @param {Record<string, any>} settings */
export function checkFailover(settings) {
  checkNames("FormatError", "failover", "setting", settings, FAILOVER);
  checkNames("FormatError", "failover.breaker", "setting", settings.breaker ?? {}, BREAKER);
  checkTimes(settings);
  (settings.chain ?? []).forEach((link, place, { length }) => checkLink(link, place, place === length - 1));
}

/** @param {Record<string, any>} settings */
function checkTimes({ deadline_ms: deadline, reserve_ms: reserve, grace_ms: grace }) {
  if (deadline === undefined && (reserve ?? grace) !== undefined) throw wrong("FormatError", "reserve_ms and grace_ms need a deadline_ms");
  if (reserve >= deadline) throw wrong("FormatError", "reserve_ms must be below deadline_ms", reserve, `less than ${deadline}`);
}

function checkLink(link, place, last) {
  const given = object(link) ? Object.keys(link) : [];
  const [kind] = given;
  if (given.length !== 1 || !KINDS.includes(kind)) {
    throw wrong("FormatError", `Entry ${place} of the failover chain is exactly one of ${KINDS.join(", ")}`, given.join(", ") || "nothing", undefined, given.map((name) => near(name, KINDS)).find(Boolean));
  }
  if (!object(link[kind])) throw wrong("FormatError", `The ${kind} of the failover chain is an object`, brief(link[kind]));
  if (kind === "default") {
    if (!last) throw wrong("FormatError", "A default always answers, so it must be the last entry of the chain");
    return;
  }
  checkNames("FormatError", `${kind} of the failover chain`, "setting", link[kind], LINKS[kind], kind === "endpoint" ? ["url", "timeout_ms"] : ["ttl_s"]);
}

/** Every name is known and every value is what it should be; undefined is left out. */
function checkNames(kind, where, word, given, rules, required = []) {
  if (!object(given)) throw wrong(kind, `The ${word}s of ${where} are an object`, brief(given));
  const known = Object.keys(rules);
  const odd = Object.keys(given).find((name) => !known.includes(name));
  if (odd !== undefined) throw wrong(kind, `${where} has no ${word} '${odd}'`, odd, known.join(", "), near(odd, known));
  const bad = known.find((name) => given[name] !== undefined && !rules[name][0](given[name]));
  if (bad !== undefined) throw wrong(kind, `The ${word} '${bad}' of ${where} is wrong`, brief(given[bad]), rules[bad][1]);
  const absent = required.find((name) => given[name] === undefined);
  if (absent !== undefined) throw wrong(kind, `${where} lacks '${absent}'`, undefined, rules[absent][1]);
}

function wrong(kind, what, got, expected, fix) {
  return new PortsideError(kind, what, { got, expected, fix });
}

/** "Did you mean ...?" for a name that is at most two letters away. @param {string} name @param {string[]} known */
function near(name, known) {
  const plain = (word) => word.toLowerCase().replaceAll("_", "");
  const [closest] = known.map((word) => ({ word, far: apart(plain(name), plain(word)) })).sort((one, other) => one.far - other.far);
  return closest.far <= 2 ? `Did you mean '${closest.word}'?` : undefined;
}

/** Letters to change, add or leave out (Levenshtein 1966). @param {string} one @param {string} other */
function apart(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  [...one].forEach((letter, down) => {
    let left = down + 1;
    row = [left, ...[...other].map((held, at) => (left = Math.min(row[at] + Number(held !== letter), row[at + 1] + 1, left + 1)))];
  });
  return row[other.length];
}
