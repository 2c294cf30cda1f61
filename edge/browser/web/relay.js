/**
 * Files of a bundle through the page, where its author gave `load` a `fetch` of their own: a worker has no other way to it.
 *
 * The worker asks by a message and the page answers with bytes, which are handed over rather than copied. Scripts are the
 * browser's own affair: those of the library and of the engine are imported, in a page as in a worker.
 */

/** The worker's side: a fetch whose answers come from the page, and where they arrive. */
export function throughPage() {
  /** @type {Map<number, {resolve: Function, reject: Function}>} */
  const waiting = new Map();
  const fetch = (/** @type {URL} */ url) => new Promise((resolve, reject) => {
    const id = waiting.size ? Math.max(...waiting.keys()) + 1 : 0;
    waiting.set(id, { resolve, reject });
    postMessage({ fetch: { id, url: url.href } });
  });
  const arrived = (/** @type {any} */ { id, ok, status, bytes, error }) => {
    const { resolve, reject } = /** @type {any} */ (waiting.get(id));
    waiting.delete(id);
    if (error !== undefined) reject(new TypeError(error));
    else resolve(ok ? new Response(bytes) : { ok, status });
  };
  return { fetch, arrived };
}

/** The page's side: fetch what the worker asks for. @param {import("./source.js").Fetch} fetch @param {{id: number, url: string}} asked */
export async function fetched(fetch, { id, url }) {
  try {
    const response = await fetch(new URL(url), { cache: "no-cache" });
    return { id, ok: response.ok, status: response.status, bytes: await response.arrayBuffer() };
  } catch (error) {
    return { id, error: String(error?.message ?? error) };
  }
}
