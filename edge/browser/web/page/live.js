/** Runs one piece of work at a time: what comes while it works replaces what waits, so that typing is never blocked. */

/**
 * @template T
 * @param {(job: T) => Promise<void>} work
 */
export function latest(work) {
  /** @type {{job: T}|null} */
  let waiting = null;
  let busy = false;
  let timer = 0;
  const drain = async () => {
    if (busy) return;
    busy = true;
    while (waiting) {
      const { job } = waiting;
      waiting = null;
      await work(job);
    }
    busy = false;
  };
  return (/** @type {T} */ job, delay = 0) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      waiting = { job };
      drain();
    }, delay);
  };
}
