/** What an engine costs, taken inside the page: the way to Python and back is not the engine's. */

const LEAST_CALLS = 5;

/**
 * Time a call in turns, after one call to warm up.
 * @param {() => Promise<unknown>} call @param {number} repeats @param {number} seconds length of a turn
 * @returns {Promise<number[][]>} per turn, seconds per call
 */
export async function measure(call, repeats, seconds) {
  await call();
  const turns = [];
  for (let turn = 0; turn < repeats; turn += 1) turns.push(await timed(call, seconds * 1000));
  return turns;
}

async function timed(call, length) {
  const durations = [];
  const until = performance.now() + length;
  while (durations.length < LEAST_CALLS || performance.now() < until) {
    const start = performance.now();
    await call();
    durations.push((performance.now() - start) / 1000);
  }
  return durations;
}

/** Bytes of the page and its workers, where the browser says: only to pages that are isolated. */
export async function memory() {
  if (!globalThis.crossOriginIsolated || performance.measureUserAgentSpecificMemory === undefined) return null;
  return (await performance.measureUserAgentSpecificMemory()).bytes;
}
