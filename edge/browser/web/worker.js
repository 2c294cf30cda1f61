/** The worker that a bundle runs in, so that the page never waits: one Program, asked by messages. */

import { PortsideError } from "./errors.js";
import { Program } from "./program.js";
import { throughPage } from "./relay.js";
import { Source } from "./source.js";

/** @type {Program} */
let program;
const page = throughPage();

const methods = {
  async open({ base, artifact, threads, relayed }) {
    const own = (/** @type {URL} */ url, /** @type {RequestInit} */ init) => fetch(url, init);
    const source = new Source(new URL(base), artifact, relayed ? page.fetch : own, (progress) => postMessage({ progress }));
    program = await Program.open(source, { threads });
    return { threads: program.threads, fields: program.fields };
  },
  run: (inputs) => program.run(inputs),
  predict: (wire) => program.predict(wire),
  close: () => program?.close(),
};

/** The buffers of tensors, which are handed over rather than copied. */
function buffers(method, answer) {
  return method === "run" ? [...new Set(Object.values(answer).map((tensor) => tensor.data.buffer))] : [];
}

addEventListener("message", async ({ data: { id, method, sent, fetched } }) => {
  if (fetched) return page.arrived(fetched);
  try {
    const answer = await methods[method](sent);
    postMessage({ id, answer }, { transfer: buffers(method, answer) });
  } catch (error) {
    const known = error instanceof PortsideError ? error : new PortsideError("EngineError", `The model failed: ${error?.message ?? error}`, { reason: "failed" });
    postMessage({ id, error: known.toJSON() });
  }
});
