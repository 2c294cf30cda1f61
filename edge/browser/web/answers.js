/** Answers that were given, by the content of what was asked; the least recently used leave first. */

import { sha256 } from "./digest.js";
import { plainWire } from "./wire.js";

export class Answers {
  /** @param {{ttl_s: number, stale?: boolean, first?: boolean, max_entries?: number}} settings @param {() => number} [clock] milliseconds */
  constructor({ ttl_s: ttl, stale = false, first = false, max_entries: most = 256 }, clock = () => performance.now()) {
    this.ttl_ms = ttl * 1000;
    this.stale = stale;
    this.first = first;
    this.most = most;
    this.clock = clock;
    this.kept = new Map();
  }

  /** @param {string} key @param {Record<string, any>} outputs */
  put(key, outputs) {
    this.kept.delete(key);
    this.kept.set(key, { outputs, at: this.clock() });
    if (this.kept.size > this.most) this.kept.delete(this.kept.keys().next().value);
  }

  /** @param {string} key @returns {{outputs: Record<string, any>, stale: boolean, age_ms: number}|null} */
  get(key) {
    const held = this.kept.get(key);
    if (held === undefined) return null;
    const age = this.clock() - held.at;
    const stale = age > this.ttl_ms;
    this.kept.delete(key);
    if (stale && !this.stale) return null;
    this.kept.set(key, held);
    return { outputs: held.outputs, stale, age_ms: age };
  }
}

/** A digest of what was asked: names, values, bytes of files. @param {Record<string, any>} wire @returns {Promise<string>} */
export async function keyOf(wire) {
  const held = await plainWire(wire);
  const names = Object.keys(held).sort();
  return sha256(new TextEncoder().encode(JSON.stringify(names.map((name) => [name, held[name]]))));
}
