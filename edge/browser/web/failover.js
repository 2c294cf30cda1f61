/**
 * Who answers a request: the failover policy as pure functions, the port of `sdk/core/failover.py`, which states the rules.
 * No clock, no fetch in here; `now` is milliseconds of any monotonic clock. `tests/vectors/failover.json` pins both.
 */

import { admit, closed, released, rulesOf, settle } from "./breaker.js";

/** @typedef {import("./breaker.js").BreakerRules} BreakerRules */
/** @typedef {import("./breaker.js").Breaker} Breaker */
/** @typedef {{kind: "model"|"endpoint"|"cache"|"default", timeout_ms?: number|null}} Entry */
/** @typedef {{chain: Entry[], deadline_ms: number|null, reserve_ms: number, grace_ms: number, breaker: BreakerRules}} Policy */
/** @typedef {{arrived_ms: number, entry: number, epoch: number, attempts: [number, string][], answered_by: number|null, began_ms: number}} Request */
/** @typedef {{do: "call"|"look"|"answer"|"give-up", entry: number, until_ms: number|null}} Action */

const GUARDED = new Set(["model", "endpoint"]);

/** A policy from the form that the vectors use. @param {any} data @returns {Policy} */
export function policyOf(data) {
  const { chain, deadline_ms = null, reserve_ms = 0, grace_ms = 0, breaker } = data;
  if (!chain.length) throw new RangeError("A failover policy needs at least one entry");
  if (deadline_ms !== null && !(reserve_ms >= 0 && reserve_ms < deadline_ms)) throw new RangeError("reserve_ms must be at least 0 and below deadline_ms");
  return { chain, deadline_ms, reserve_ms, grace_ms, breaker: rulesOf(breaker) };
}

/** Closed breakers, one per entry. @param {Policy} policy @returns {Breaker[]} */
export function start(policy) {
  return policy.chain.map(() => closed());
}

/** A request that arrives. @param {number} now @returns {Request} */
export function arrive(now) {
  return { arrived_ms: now, entry: 0, epoch: 0, attempts: [], answered_by: null, began_ms: 0 };
}

/** "primary", or why the first entry did not answer. @param {Request} request */
export function reasonOf(request) {
  return request.attempts.length ? request.attempts[0][1] : "primary";
}

/**
 * The next action for a request, with the breakers and the request as they are once it is taken.
 * @param {Policy} policy @param {Breaker[]} breakers @param {Request} request @param {number} now
 * @param {number[]} [down] entries that cannot be called at present
 * @returns {[Action, Breaker[], Request]}
 */
export function decide(policy, breakers, request, now, down = []) {
  for (let index = request.entry; index < policy.chain.length; index += 1) {
    const { kind } = policy.chain[index];
    if (!GUARDED.has(kind)) {
      return [{ do: kind === "cache" ? "look" : "answer", entry: index, until_ms: null }, breakers, { ...request, entry: index }];
    }
    const until = limit(policy, request, index, now);
    const why = down.includes(index) ? "down" : until !== null && until <= now ? "deadline" : "breaker-open";
    const admitted = why === "breaker-open" ? admit(breakers[index], policy.breaker, now) : null;
    if (admitted !== null) {
      const action = { do: /** @type {const} */ ("call"), entry: index, until_ms: until };
      return [action, swap(breakers, index, admitted), { ...request, entry: index, epoch: admitted.epoch, began_ms: now }];
    }
    request = passed(request, index, why);
  }
  return [{ do: "give-up", entry: -1, until_ms: null }, breakers, { ...request, entry: policy.chain.length }];
}

/**
 * What follows from the outcome of the action that `decide` gave.
 * @param {Policy} policy @param {Breaker[]} breakers @param {Request} request
 * @param {"answered"|"failed"|"deadline"|"crashed"|"busy"|"non-finite"|"miss"} outcome @param {number} now
 * @returns {[Breaker[], Request]}
 */
export function observe(policy, breakers, request, outcome, now) {
  const index = request.entry;
  if (GUARDED.has(policy.chain[index].kind)) {
    const held = breakers[index];
    const settled = outcome === "busy" ? released(held, request.epoch, now) : settle(held, policy.breaker, request.epoch, outcome === "answered", now, now - request.began_ms);
    breakers = swap(breakers, index, settled);
  }
  if (outcome === "answered") return [breakers, { ...request, answered_by: index }];
  return [breakers, { ...passed(request, index, outcome), entry: index + 1 }];
}

/** Until when an entry may run; null: as long as it takes. @param {Policy} policy @param {Request} request @param {number} index @param {number} now */
export function limit(policy, request, index, now) {
  const own = policy.chain[index].timeout_ms ?? null;
  const ends = own === null ? [] : [now + own];
  if (policy.deadline_ms !== null) {
    const deadline = request.arrived_ms + policy.deadline_ms;
    const first = deadline - (policy.chain.length === 1 ? 0 : policy.reserve_ms);
    ends.push(index === 0 ? first : Math.max(deadline, now + policy.grace_ms));
  }
  return ends.length ? Math.min(...ends) : null;
}

/**
 * The name of the first float output that holds NaN or infinity where its spec does not allow it, or null.
 * @param {Record<string, import("./dtypes.js").Tensor>} outputs @param {any[]} specs
 */
export function flaw(outputs, specs) {
  for (const spec of specs) {
    const data = outputs[spec.name]?.data;
    if (!(data instanceof Float32Array || data instanceof Float64Array) || finite(data)) continue;
    if (!spec.missing || data.some((value) => Math.abs(value) === Infinity)) return spec.name;
  }
  return null;
}

/** @param {Float32Array|Float64Array} data */
function finite(data) {
  for (let place = 0; place < data.length; place += 1) if (!Number.isFinite(data[place])) return false;
  return true;
}

function passed(request, index, reason) {
  return { ...request, attempts: [...request.attempts, /** @type {[number, string]} */ ([index, reason])] };
}

function swap(breakers, index, breaker) {
  if (breakers[index] === breaker) return breakers;
  return breakers.map((held, place) => (place === index ? breaker : held));
}
