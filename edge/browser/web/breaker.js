/**
 * The breaker of one entry of a failover chain, the port of `sdk/core/breaker.py`, which states the rules. Pure values.
 * Failures in a row, a share of failures or a share of slow calls open it; probes, one at a time, close it again.
 */

import { PortsideError } from "./errors.js";

/** @typedef {{failures: number, open_ms: number, max_open_ms: number, probe_ms: number, probes: number, error_rate: number|null, slow_rate: number|null, slow_ms: number|null, min_calls: number, window_ms: number, window_calls: number|null}} BreakerRules */
/** @typedef {[calls: number, bad: number, slow: number]} Counts */
/** @typedef {{slot: number, seen: number, now: Counts, past: Counts[], before: Counts}} Window */
/** @typedef {{state: "closed"|"open"|"half-open", failures: number, until_ms: number, epoch: number, good: number, window: Window}} Breaker */

const SLOTS = 10;
/** @type {BreakerRules} */
const RULES = {
  failures: 5, open_ms: 1000, max_open_ms: 8000, probe_ms: 2000, probes: 1,
  error_rate: null, slow_rate: null, slow_ms: null, min_calls: 20, window_ms: 10000, window_calls: null,
};
/** @type {Window} */
const EMPTY = { slot: 0, seen: 0, now: [0, 0, 0], past: [], before: [0, 0, 0] };

/** Rules with their defaults. @param {Partial<BreakerRules>} [given] @returns {BreakerRules} */
export function rulesOf(given = {}) {
  const rules = { ...RULES };
  for (const name of Object.keys(given)) rules[name] = given[name] ?? RULES[name];
  for (const name of ["error_rate", "slow_rate"]) {
    if (rules[name] !== null && !(rules[name] > 0 && rules[name] <= 1)) throw new PortsideError("FormatError", `${name} is a share above 0 and up to 1`, { got: rules[name] });
  }
  if ((rules.slow_rate === null) !== (rules.slow_ms === null)) {
    throw new PortsideError("FormatError", "slow_rate and slow_ms belong together: the share of slow calls, and what slow is");
  }
  if (rules.window_calls !== null && rules.min_calls > rules.window_calls) {
    throw new PortsideError("FormatError", "min_calls must fit into window_calls", { got: rules.min_calls, expected: `at most ${rules.window_calls}` });
  }
  return rules;
}

/** A closed breaker. @param {number} [epoch] @returns {Breaker} */
export function closed(epoch = 0) {
  return { state: "closed", failures: 0, until_ms: 0, epoch, good: 0, window: EMPTY };
}

/** The breaker once a call has been let through, or null. @param {Breaker} breaker @param {BreakerRules} rules @param {number} now @returns {Breaker|null} */
export function admit(breaker, rules, now) {
  if (breaker.state === "closed") return breaker;
  if (now < breaker.until_ms) return null;
  return { ...breaker, state: "half-open", until_ms: now + rules.probe_ms, epoch: breaker.epoch + 1 };
}

/**
 * The breaker after a call that was admitted in `epoch` and took `took` milliseconds has ended.
 * @param {Breaker} breaker @param {BreakerRules} rules @param {number} epoch @param {boolean} good @param {number} now @param {number} took @returns {Breaker}
 */
export function settle(breaker, rules, epoch, good, now, took) {
  if (epoch !== breaker.epoch || breaker.state === "open") return breaker;
  const slow = rules.slow_ms !== null && took > rules.slow_ms;
  if (breaker.state === "half-open") return probed(breaker, rules, good && !slow, now);
  const failures = good ? 0 : breaker.failures + 1;
  if (failures >= rules.failures) return opened(breaker, rules, 0, now);
  if (rules.error_rate === null && rules.slow_rate === null) return failures === breaker.failures ? breaker : { ...breaker, failures };
  const window = counted(breaker.window, rules, !good, slow, now);
  return exceeded(window, rules) ? opened(breaker, rules, 0, now) : { ...breaker, failures, window };
}

/** The breaker after a call that was admitted in `epoch` and then not begun, for want of room. @param {Breaker} breaker @param {number} epoch @param {number} now @returns {Breaker} */
export function released(breaker, epoch, now) {
  if (epoch !== breaker.epoch || breaker.state !== "half-open") return breaker;
  return { ...breaker, until_ms: now, epoch: epoch + 1 };
}

/** @param {Window} window @param {BreakerRules} rules @param {boolean} bad @param {boolean} slow @param {number} now @returns {Window} */
function counted(window, rules, bad, slow, now) {
  const slot = rules.window_calls === null ? Math.floor((now * SLOTS) / rules.window_ms) : Math.floor((window.seen * SLOTS) / rules.window_calls);
  const held = slot > window.slot ? moved(window, slot) : window;
  return { ...held, seen: held.seen + 1, now: [held.now[0] + 1, held.now[1] + Number(bad), held.now[2] + Number(slow)] };
}

/** @param {Window} window @param {BreakerRules} rules */
function exceeded({ now, before }, rules) {
  const [calls, bad, slow] = now.map((count, place) => count + before[place]);
  if (calls < rules.min_calls) return false;
  return (rules.error_rate !== null && bad >= rules.error_rate * calls) || (rules.slow_rate !== null && slow >= rules.slow_rate * calls);
}

/** @param {Window} window @param {number} slot @returns {Window} */
function moved(window, slot) {
  /** @type {Counts[]} */
  const empty = Array.from({ length: Math.min(slot - window.slot, SLOTS) - 1 }, () => [0, 0, 0]);
  const past = [...empty, window.now, ...window.past].slice(0, SLOTS - 1);
  const total = (place) => past.reduce((sum, counts) => sum + counts[place], 0);
  return { slot, seen: window.seen, now: [0, 0, 0], past, before: [total(0), total(1), total(2)] };
}

/** @param {Breaker} breaker @param {BreakerRules} rules @param {boolean} good @param {number} now @returns {Breaker} */
function probed(breaker, rules, good, now) {
  if (!good) return opened(breaker, rules, breaker.failures + 1, now);
  if (breaker.good + 1 < rules.probes) return { ...breaker, until_ms: now, epoch: breaker.epoch + 1, good: breaker.good + 1 };
  return closed(breaker.epoch + 1);
}

/** @param {Breaker} breaker @param {BreakerRules} rules @param {number} failedProbes @param {number} now @returns {Breaker} */
function opened(breaker, rules, failedProbes, now) {
  const wait = Math.min(rules.open_ms * 2 ** Math.min(failedProbes, 30), rules.max_open_ms);
  return { state: "open", failures: failedProbes, until_ms: now + wait, epoch: breaker.epoch + 1, good: 0, window: EMPTY };
}
