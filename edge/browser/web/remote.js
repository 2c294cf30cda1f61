/**
 * A Program in a worker, seen from the page: the same methods, answered by messages.
 *
 * WebAssembly cannot be stopped inside a call. A call that is given up is answered at once, and a worker that does not come back
 * within `GRACE_MS` is ended; the next call opens a new one.
 */

import { PortsideError } from "./errors.js";
import { fetched } from "./relay.js";

const GRACE_MS = 1000;

export class Remote {
  /** @param {import("./source.js").Source} source @param {{threads: number, relayed?: boolean}} options `relayed`: files come through the page */
  constructor(source, options) {
    this.source = source;
    this.options = options;
    this.calls = new Map();
    this.next = 0;
    this.worker = null;
    this.opening = null;
    this.live = false;
    this.closed = false;
  }

  /** @param {import("./source.js").Source} source @param {{threads: number, relayed?: boolean}} options */
  static async open(source, options) {
    const remote = new Remote(source, options);
    const { threads, fields } = await remote.#opened();
    return Object.assign(remote, { threads, fields });
  }

  /** Whether a call could begin now: not while a worker is being replaced. Where replacing failed, a call may try again. */
  get ready() {
    return !this.closed && (this.live || this.opening === null);
  }

  /** @param {Record<string, any>} inputs @param {AbortSignal} [signal] */
  run(inputs, signal) {
    return this.#ask("run", inputs, signal);
  }

  /** @param {Record<string, any>} wire @param {AbortSignal} [signal] */
  predict(wire, signal) {
    return this.#ask("predict", wire, signal);
  }

  async close() {
    this.closed = true;
    this.#end(new PortsideError("EngineError", "The model was closed during the call", { reason: "closed" }));
  }

  async #ask(method, sent, signal) {
    if (this.closed) throw new PortsideError("EngineError", "The model is closed", { reason: "closed", fix: "Load it again." });
    if (signal?.aborted) throw cancelled();
    await this.#opened();
    if (signal?.aborted) throw cancelled();
    return this.#send(method, sent, signal);
  }

  /** The worker, opened; a lost one is replaced. */
  #opened() {
    this.opening ??= this.#start();
    return this.opening;
  }

  async #start() {
    await null; // a refusal below comes after `opening` was set, and takes it back
    let worker = null;
    const { base, artifact } = this.source;
    try {
      worker = this.#hired();
      const told = await this.#send("open", { base: base.href, artifact, ...this.options });
      this.live = true;
      return told;
    } catch (error) {
      if (worker === this.worker) this.#end(error);
      throw error;
    }
  }

  #hired() {
    const worker = newWorker();
    worker.addEventListener("message", (event) => worker === this.worker && this.#heard(event.data));
    worker.addEventListener("error", (event) => this.#lost(worker, event));
    worker.addEventListener("messageerror", (event) => this.#lost(worker, event));
    this.worker = worker;
    return worker;
  }

  #send(method, sent, signal) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const giveUp = () => this.#giveUp(id);
      this.calls.set(id, { method, sent, signal, resolve, reject, forget: () => signal?.removeEventListener("abort", giveUp) });
      signal?.addEventListener("abort", giveUp, { once: true });
      try {
        this.worker.postMessage({ id, method, sent });
      } catch (error) {
        this.calls.delete(id);
        reject(new PortsideError("InputError", "A value cannot be sent to the model's worker", { got: error.message, fix: "Pass numbers, text, arrays, typed arrays, or files." }));
      }
    });
  }

  #heard({ id, answer, error, progress, fetch }) {
    if (progress) return this.source.progress?.(progress);
    if (fetch) return this.#fetch(this.worker, fetch);
    const call = this.calls.get(id);
    this.calls.delete(id);
    call?.forget();
    clearTimeout(call?.timer);
    return error ? call?.reject(PortsideError.fromJSON(error)) : call?.resolve(answer);
  }

  /** Fetch a file for the worker, with what the page was given to fetch with. */
  async #fetch(worker, asked) {
    const told = await fetched(this.source.fetch, asked);
    if (worker === this.worker) worker.postMessage({ fetched: told }, told.bytes ? [told.bytes] : []);
  }

  #giveUp(id) {
    const call = this.calls.get(id);
    if (call === undefined) return;
    call.reject(cancelled());
    call.timer = setTimeout(() => this.#replaced(), GRACE_MS);
  }

  /** A worker that does not come back from a call that was given up: the calls that waited behind it go to a new one. */
  #replaced() {
    const waiting = [...this.calls].filter(([, { timer, method }]) => timer === undefined && method !== "open");
    for (const [id, call] of waiting) {
      this.calls.delete(id);
      call.forget();
    }
    this.#end(cancelled());
    for (const [, { method, sent, signal, resolve, reject }] of waiting) this.#ask(method, sent, signal).then(resolve, reject);
  }

  #lost(worker, event) {
    if (worker !== this.worker) return;
    this.#end(new PortsideError("EngineError", "The model's worker died", { reason: "crashed", got: event?.message || undefined }));
  }

  /** End the worker and the calls that it had; one that had been at work is replaced at once, so that the next call need not wait. */
  #end(error) {
    const again = this.live && !this.closed;
    this.worker?.terminate();
    this.worker = null;
    this.opening = null;
    this.live = false;
    for (const call of this.calls.values()) {
      call.forget();
      clearTimeout(call.timer);
      call.reject(error);
    }
    this.calls.clear();
    if (again) this.#opened().catch(() => {}); // the next call tries again and says why
  }
}

function newWorker() {
  try {
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "portside" });
  } catch (error) {
    throw new PortsideError("UnsupportedError", "This page cannot start a worker", { got: error?.message, fix: "Load with {worker: false}, or allow workers of this origin." });
  }
}

function cancelled() {
  return new PortsideError("EngineError", "The call was cancelled", { reason: "cancelled" });
}
