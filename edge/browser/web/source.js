/**
 * A bundle's files, fetched from its own folder and compared with artifact.json before anything uses them.
 *
 * artifact.json carries a seal over itself, which catches accidents; a digest that the page was given (`load(url, {digest})`)
 * catches everything else. What a page cannot check is the script that does the checking: give `model.js` an `integrity`
 * attribute, or serve it from a place of your own.
 */

import { sha256 } from "./digest.js";
import { PortsideError } from "./errors.js";
import { canonical, parseExact, plain } from "./exact_json.js";

const FORMAT = 1;
const AGAIN = "Copy the bundle again from where it came.";
const UNSEALED = ["built", "verified", "batch_invariant", "digest", "seal"];

/** @typedef {(url: URL, init?: RequestInit) => Promise<Response>} Fetch */
/** @typedef {(progress: {file: string, loaded: number, total: number}) => void} Progress */

/** An opened bundle. */
export class Source {
  /** @param {URL} base @param {any} artifact parsed artifact.json @param {Fetch} fetch @param {Progress} [progress] */
  constructor(base, artifact, fetch, progress) {
    this.base = base;
    this.artifact = artifact;
    this.fetch = fetch;
    this.progress = progress;
  }

  /** The bytes of a listed file, checked. @param {string} name @param {AbortSignal} [signal] @returns {Promise<Uint8Array>} */
  async read(name, signal) {
    const entry = this.artifact.files[name];
    if (entry === undefined) throw new PortsideError("FormatError", `The bundle lists no file '${name}'`, { fix: AGAIN });
    const bytes = await download(inside(name, this.base), name, this.fetch, { size: entry.size, progress: this.progress, signal });
    if (bytes.length !== entry.size || (await sha256(bytes)) !== entry.sha256) {
      throw new PortsideError("IntegrityError", `${name} was changed after it was compiled`, { got: `${bytes.length} bytes`, expected: `${entry.size} bytes with the digest of artifact.json`, fix: AGAIN });
    }
    return bytes;
  }
}

/**
 * Fetch and audit artifact.json.
 * @param {URL} base the bundle's folder @param {{digest?: string, fetch?: Fetch, onprogress?: Progress}} [options]
 */
export async function openSource(base, { digest, fetch = (url, init) => globalThis.fetch(url, init), onprogress } = {}) {
  const bytes = await download(new URL("artifact.json", base), "artifact.json", fetch, {});
  const artifact = await audited(new TextDecoder().decode(bytes), digest);
  return new Source(base, artifact, fetch, onprogress);
}

/** artifact.json as plain data. @param {string} text @param {string} [digest] pins what it must be */
export async function audited(text, digest) {
  if (/^\s*</.test(text)) {
    throw new PortsideError("FormatError", "There is no bundle here: artifact.json is a web page", { got: text.trim().slice(0, 40), fix: "Check the address of the bundle." });
  }
  const exact = parseExact(text, "artifact.json");
  const held = plain(exact);
  check(held);
  const without = (names) => canonical(Object.fromEntries(Object.entries(exact).filter(([key]) => !names.includes(key))));
  const found = `sha256:${await sha256(new TextEncoder().encode(without(UNSEALED)))}`;
  const seal = `sha256:${await sha256(new TextEncoder().encode(without(["seal"])))}`;
  if (held.seal !== seal || held.digest !== found) {
    throw new PortsideError("IntegrityError", "artifact.json was changed after it was compiled", { got: seal, expected: held.seal, fix: AGAIN });
  }
  if (digest !== undefined && digest !== found) {
    throw new PortsideError("IntegrityError", "The bundle is not the one that was asked for", { got: found, expected: digest });
  }
  return held;
}

function check(held) {
  if (held === null || typeof held !== "object" || typeof held.target !== "string" || typeof held.files !== "object") {
    throw new PortsideError("FormatError", "artifact.json does not describe a bundle", { fix: "Check the address of the bundle." });
  }
  if (held.format !== FORMAT) throw new PortsideError("FormatError", "The bundle has an unknown format version", { got: held.format, expected: FORMAT, fix: "Use the model.js of the bundle itself." });
  if (held.target !== "wasm") throw new PortsideError("FormatError", "This is an artifact for another target", { got: held.target, expected: "wasm", fix: "Compile the package with target=\"wasm\"." });
}

/** A path of the bundle as a URL; one that leads out of its folder is never fetched. @param {string} name @param {URL} base */
function inside(name, base) {
  const url = new URL(name, base);
  if (url.origin === base.origin && url.href.startsWith(new URL(".", base).href)) return url;
  throw new PortsideError("FormatError", "The bundle lists a file outside of its folder", { got: name, fix: AGAIN });
}

/**
 * The bytes at a URL, with progress. Network failures and error pages are one clear error.
 * @param {URL} url @param {string} name @param {Fetch} fetch @param {{size?: number, progress?: Progress, signal?: AbortSignal}} how
 */
async function download(url, name, fetch, { size, progress, signal }) {
  let response;
  try {
    response = await fetch(url, { signal, cache: "no-cache" });
  } catch (error) {
    throw unreachable(name, error, signal);
  }
  if (!response.ok) {
    throw new PortsideError("FormatError", `${name} is not there`, { got: `HTTP ${response.status} from ${url.pathname}`, fix: "Check the address of the bundle, and that all of its files were copied." });
  }
  try {
    return await body(response, name, size, progress);
  } catch (error) {
    throw unreachable(name, error, signal);
  }
}

async function body(response, name, size, progress) {
  if (!progress || !response.body || !size) return new Uint8Array(await response.arrayBuffer());
  const parts = [];
  let loaded = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    loaded += value.length;
    progress({ file: name, loaded, total: size });
  }
  const bytes = new Uint8Array(loaded);
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
  return bytes;
}

function unreachable(name, error, signal) {
  if (signal?.aborted) return new PortsideError("EngineError", "The call was cancelled", { reason: "cancelled" });
  return new PortsideError("FormatError", `${name} could not be fetched to its end`, { got: error?.message ?? error, fix: "Check the connection and load the page again." });
}
