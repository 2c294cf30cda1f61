/**
 * A Program in a worker, seen from the page: the same methods, answered by messages.
 *
 * WebAssembly cannot be stopped inside a call. A call that is given up is answered at once, and a worker that does not come back
 * within `GRACE_MS` is ended; the next call opens a new one.
 */

import { PortsideError } from "./errors.js";

const GRACE_MS = 1000;

export class Remote {
  /** @param {import("./source.js").Source} source @param {{threads: number}} options */
  constructor(source, options) {
    this.source = source;
    this.options = options;
    this.calls = new Map();
    this.next = 0;
    this.worker = null;
    this.opening = null;
    this.closed = false;
  }

  /** @param {import("./source.js").Source} source @param {{threads: number}} options */
  static async open(source, options) {
    const remote = new Remote(source, options);
    const { threads, fields } = await remote.#opened();
    return Object.assign(remote, { threads, fields });
  }

  /** Whether a call could begin now: not while a worker is being replaced. */
  get ready() {
    return !this.closed && this.worker !== null;
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
    return this.#send(method, sent, signal);
  }

  /** The worker, opened; a lost one is replaced. */
  #opened() {
    if (this.opening === null) {
      const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "portside" });
      worker.addEventListener("message", (event) => this.#heard(event.data));
      worker.addEventListener("error", (event) => this.#lost(worker, event));
      worker.addEventListener("messageerror", (event) => this.#lost(worker, event));
      this.worker = worker;
      const { base, artifact } = this.source;
      this.opening = this.#send("open", { base: base.href, artifact, threads: this.options.threads }).catch((error) => {
        this.#end(error);
        throw error;
      });
    }
    return this.opening;
  }

  #send(method, sent, signal) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const giveUp = () => this.#giveUp(id);
      this.calls.set(id, { resolve, reject, forget: () => signal?.removeEventListener("abort", giveUp) });
      signal?.addEventListener("abort", giveUp, { once: true });
      try {
        this.worker.postMessage({ id, method, sent });
      } catch (error) {
        this.calls.delete(id);
        reject(new PortsideError("InputError", "A value cannot be sent to the model's worker", { got: error.message, fix: "Pass numbers, text, arrays, typed arrays, or files." }));
      }
    });
  }

  #heard({ id, answer, error, progress }) {
    if (progress) return this.source.progress?.(progress);
    const call = this.calls.get(id);
    this.calls.delete(id);
    call?.forget();
    clearTimeout(call?.timer);
    return error ? call?.reject(PortsideError.fromJSON(error)) : call?.resolve(answer);
  }

  #giveUp(id) {
    const call = this.calls.get(id);
    if (call === undefined) return;
    call.reject(cancelled());
    call.timer = setTimeout(() => this.#end(new PortsideError("EngineError", "The model's worker was ended: a call did not return", { reason: "crashed" })), GRACE_MS);
  }

  #lost(worker, event) {
    if (worker !== this.worker) return;
    this.#end(new PortsideError("EngineError", "The model's worker died", { reason: "crashed", got: event?.message || undefined }));
  }

  #end(error) {
    this.worker?.terminate();
    this.worker = null;
    this.opening = null;
    for (const call of this.calls.values()) {
      call.forget();
      clearTimeout(call.timer);
      call.reject(error);
    }
    this.calls.clear();
  }
}

function cancelled() {
  return new PortsideError("EngineError", "The call was cancelled", { reason: "cancelled" });
}
