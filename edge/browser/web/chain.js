/**
 * The failover policy at work in a page: the model in this page, then what the page's author named, in order.
 *
 * The words are those of a deployment file: `deadline_ms`, `reserve_ms`, `grace_ms`, `breaker`, and a `chain` of
 * `{endpoint: {url, timeout_ms}}`, `{cache: {ttl_s, stale, max_entries}}` and `{default: {...}}`.
 */

import { Answers, keyOf } from "./answers.js";
import { Endpoint } from "./endpoint.js";
import { PortsideError } from "./errors.js";
import { arrive, decide, observe, policyOf, reasonOf, start } from "./failover.js";
import { defaultRow, repeated } from "./outside.js";
import { rowsOf } from "./wire.js";

const [NONE, FIRST] = [[], [0]];
const REASONS = { cancelled: "deadline", closed: "crashed" };

/** @typedef {{model: string, version: string, target: string, entry: number, reason: string, attempts: string[], time_ms: number, model_ms: number, codec_ms?: number, engine_ms?: number, deadline_ms: number|null, within_deadline: boolean, stale: boolean, age_ms: number|null}} Receipt */

export class Chain {
  /**
   * @param {any} artifact @param {any} settings as `options.js` let them pass @param {import("./source.js").Fetch} fetch
   */
  constructor(artifact, settings, fetch) {
    this.artifact = artifact;
    /** @type {{predict: Function, ready?: boolean}|null} null until it is opened, and where it could not be */
    this.local = null;
    this.entries = [{ kind: "model" }, ...(settings.chain ?? []).map((link) => entryOf(link, artifact, fetch))];
    const { deadline_ms: deadline = null } = settings;
    this.policy = policyOf({
      chain: this.entries.map(({ kind, timeout_ms }) => ({ kind, timeout_ms })), deadline_ms: deadline,
      reserve_ms: settings.reserve_ms ?? (deadline === null ? 0 : deadline / 10), grace_ms: settings.grace_ms ?? deadline ?? 0, breaker: settings.breaker,
    });
    this.breakers = start(this.policy);
    this.cache = this.entries.find(({ kind }) => kind === "cache")?.answers;
  }

  /**
   * @param {Record<string, any>} wire @param {AbortSignal} [signal]
   * @returns {Promise<{outputs: Record<string, any>, flags: any[], receipt: Receipt}>}
   */
  async predict(wire, signal) {
    if (signal?.aborted) throw new PortsideError("EngineError", "The call was cancelled", { reason: "cancelled" });
    if (!isObject(wire)) throw noFields(wire, this.artifact);
    let now = performance.now();
    let request = arrive(now);
    const asked = { wire, signal, key: this.cache ? await keyOf(wire) : null };
    const early = this.cache?.first ? this.cache.get(asked.key) : null;
    if (this.cache) now = performance.now();
    if (early && !early.stale) return { outputs: early.outputs, flags: [], receipt: this.#receipt({ ...request, answered_by: this.#cached() }, early, now, now, "cached") };
    for (;;) {
      const [action, breakers, taken] = decide(this.policy, this.breakers, request, now, this.#down());
      this.breakers = breakers;
      if (action.do === "give-up") throw nobody(this.#receipt(taken, {}, now, now));
      const began = now; // a clock is asked once between two steps: it costs as much as a step
      const { outcome, answer, refused } = await this.#outcome(action, asked);
      now = performance.now();
      [this.breakers, request] = observe(this.policy, this.breakers, taken, outcome, now);
      if (refused) throw refused;
      if (outcome !== "answered") continue;
      if (request.answered_by === 0) this.cache?.put(asked.key, answer.outputs);
      return { outputs: answer.outputs, flags: answer.flags ?? [], receipt: this.#receipt(request, answer, began, now) };
    }
  }

  #cached() {
    return this.entries.findIndex(({ kind }) => kind === "cache");
  }

  #down() {
    if (this.local === null) return FIRST;
    return this.entries.length > 1 && this.local.ready === false ? FIRST : NONE; // alone, waiting for a new worker beats no answer
  }

  /** @returns {Promise<{outcome: any, answer?: any, refused?: PortsideError}>} */
  async #outcome(action, asked) {
    const entry = this.entries[action.entry];
    if (action.do === "answer") return { outcome: "answered", answer: { outputs: repeated(entry.row, rowsOf(asked.wire, this.artifact), this.artifact.signature) } };
    if (action.do === "look") {
      const found = entry.answers.get(asked.key);
      return found ? { outcome: "answered", answer: found } : { outcome: "miss" };
    }
    try {
      const answer = await within(action.until_ms, asked, entry.kind === "model" ? this.local : entry.endpoint);
      return answer.flaw ? { outcome: "non-finite" } : { outcome: "answered", answer };
    } catch (error) {
      if (asked.signal?.aborted) throw error;
      const judge = action.entry === 0 || this.local === null;
      if (error?.kind === "InputError" && judge) return { outcome: "answered", refused: error }; // no other model changes it
      return { outcome: REASONS[error?.reason] ?? (["deadline", "crashed", "busy"].includes(error?.reason) ? error.reason : "failed") };
    }
  }

  /** @returns {Receipt} */
  #receipt(request, answer, began, now, reason = reasonOf(request)) {
    const { artifact, policy } = this;
    const index = request.answered_by ?? -1;
    const entry = this.entries[index];
    const kind = entry?.kind ?? "";
    const local = kind === "model";
    const time = now - request.arrived_ms;
    return {
      model: local ? artifact.name : entry?.endpoint?.url ?? kind, version: local ? artifact.package : "", target: local ? artifact.target : kind,
      entry: index, reason, attempts: request.attempts.map(([place, reason]) => `${place}:${reason}`), time_ms: time, model_ms: now - began,
      codec_ms: answer.codec_ms, engine_ms: answer.engine_ms, deadline_ms: policy.deadline_ms, within_deadline: policy.deadline_ms === null || time <= policy.deadline_ms,
      stale: answer.stale ?? false, age_ms: answer.age_ms ?? null,
    };
  }
}

/** A call that ends at `until_ms` at the latest, or when the caller gives up. */
function within(until, { wire, signal }, model) {
  return until === null && !signal ? model.predict(wire) : stoppable(until, signal, (stop) => model.predict(wire, stop));
}

async function stoppable(until, outer, call) {
  const abort = new AbortController();
  const stop = () => abort.abort();
  outer?.addEventListener("abort", stop, { once: true });
  const timer = until === null ? undefined : setTimeout(stop, Math.max(0, until - performance.now()));
  const stopped = new Promise((_, reject) => {
    abort.signal.addEventListener("abort", () => reject(new PortsideError("EngineError", "The call was cancelled", { reason: "cancelled" })), { once: true });
  });
  try {
    return await Promise.race([call(abort.signal), stopped]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", stop);
  }
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** What is no object of fields is nobody's fault but the caller's: no model is asked, and no breaker counts it. */
function noFields(wire, { signature }) {
  const got = wire === null ? "null" : Array.isArray(wire) ? "a list" : typeof wire;
  const expected = signature.inputs.map((spec) => spec.name).join(", ");
  return new PortsideError("InputError", "predict takes an object of fields", { got, expected, fix: "Write predict({ field: [value] })." });
}

function entryOf(link, artifact, fetch) {
  if (link.endpoint) return { kind: "endpoint", timeout_ms: link.endpoint.timeout_ms, endpoint: new Endpoint(link.endpoint.url, artifact, fetch) };
  if (link.cache) return { kind: "cache", answers: new Answers(link.cache) };
  return { kind: "default", row: defaultRow(link.default, artifact.signature) };
}

function nobody(receipt) {
  const error = new PortsideError("EngineError", "No model could answer", { reason: "failed", got: receipt.attempts.join(", ") || undefined, fix: "Try again, or end the failover chain with a default." });
  return Object.assign(error, { receipt });
}
