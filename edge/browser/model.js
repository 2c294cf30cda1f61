/**
 * A model in this page.
 *
 *     import { load } from "./dist/model.js";
 *     const model = await load();                       // the bundle that this file lies in
 *     const { outputs, receipt } = await model.predict({ photo: file });
 *
 * `model.d.ts` describes everything. Nothing but files of the bundle is fetched, and an endpoint where `failover` names one.
 */

import { Chain } from "./web/chain.js";
import { PortsideError } from "./web/errors.js";
import { asked } from "./web/options.js";
import { Program } from "./web/program.js";
import { Remote } from "./web/remote.js";
import { openSource } from "./web/source.js";

export { PortsideError };

/**
 * Open a bundle: audited, its engine started, in a worker. `load(options)` opens the one that this file lies in.
 * @param {string|URL|import("./model.js").LoadOptions} [place] the bundle's folder; default: where this file lies
 * @param {import("./model.js").LoadOptions} [given]
 */
export async function load(place, given) {
  const { url, options } = asked(place, given);
  const fetch = options.fetch ?? ((target, init) => globalThis.fetch(target, init));
  const source = await openSource(folder(url), { digest: options.digest, fetch, onprogress: options.onprogress });
  await checkOurs(source);
  const chain = new Chain(source.artifact, options.failover ?? {}, fetch); // what is wrong in it is said before an engine is started
  const settings = { threads: options.threads ?? 1 };
  const open = options.worker === false ? Program.open(source, settings) : Remote.open(source, { ...settings, relayed: options.fetch !== undefined });
  const { local, fault } = await opened(open, options.failover);
  return new Model(source.artifact, local, fault, noticesOf(settings.threads, local), Object.assign(chain, { local }));
}

/** A loaded bundle. */
class Model {
  #local;
  #chain;
  #fault;

  constructor(artifact, local, fault, notices, chain) {
    this.#local = local;
    this.#chain = chain;
    this.#fault = fault;
    this.info = Object.freeze({
      name: artifact.name, target: artifact.target, package: artifact.package, artifact: artifact.digest, signature: artifact.signature,
      fields: local?.fields ?? [], threads: local?.threads ?? 0, isolated: Boolean(globalThis.crossOriginIsolated), verified: artifact.verified ?? {}, fault: fault?.toJSON() ?? null, notices,
    });
  }

  /** What a user has, by wire field: codec, door, engine, category names, and who answered. @param {Record<string, any>} inputs @param {{signal?: AbortSignal}} [options] */
  predict(inputs, options) {
    return this.#chain.predict(inputs, options?.signal);
  }

  /** Typed tensors behind the codec, on the model in this page. @param {Record<string, any>} inputs @param {{signal?: AbortSignal}} [options] */
  async run(inputs, { signal } = {}) {
    if (this.#local === null) throw this.#fault;
    if (signal?.aborted) throw new PortsideError("EngineError", "The call was cancelled", { reason: "cancelled" });
    return this.#local.run(inputs, signal);
  }

  /** Free the engine; later calls are refused. */
  async close() {
    await this.#local?.close();
  }
}

/** @param {string|URL} [url] */
function folder(url) {
  const base = address(url ?? ".", url === undefined ? import.meta.url : globalThis.location?.href ?? import.meta.url);
  return base.pathname.endsWith("/") ? base : new URL(`${base.pathname.split("/").pop()}/`, base);
}

function address(url, base) {
  try {
    return new URL(url, base);
  } catch {
    throw new PortsideError("InputError", "This is no address of a bundle", { got: String(url), expected: "a folder, for example /models/inspector/" });
  }
}

/** The library's own files are those that the bundle was compiled with. They run already: this finds half a copy, not an attacker. */
async function checkOurs(source) {
  const ours = Object.keys(source.artifact.files).filter((name) => /^(model\.js|web\/(?!page\/).*\.js)$/.test(name));
  await Promise.all(ours.map((name) => source.read(name)));
}

/** What a caller should know although everything works. */
function noticesOf(threads, local) {
  if (local === null || threads <= local.threads) return [];
  return [`${threads} threads were asked for and ${local.threads} is used: this page is not cross-origin isolated. Serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.`];
}

/** The model in this page; where it cannot be opened and there is somebody else to ask, the reason instead. */
async function opened(open, failover) {
  try {
    return { local: await open, fault: null };
  } catch (error) {
    if (!failover?.chain?.length || !(error instanceof PortsideError)) throw error;
    return { local: null, fault: error };
  }
}
