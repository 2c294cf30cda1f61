// Parts of the demo page that need no browser: reads a question as JSON on stdin, answers on stdout.

import { readFileSync } from "node:fs";
import { bytes, cosine, figure, flat, milliseconds, nest, percent } from "../../../edge/browser/web/page/figures.js";
import { rowOf } from "../../../edge/browser/web/page/golden.js";
import { latest } from "../../../edge/browser/web/page/live.js";
import { ground, layoutOf } from "../../../edge/browser/web/page/pixels.js";
import { readSafetensors } from "../../../edge/browser/web/page/safetensors.js";
import { parse } from "../../../edge/browser/web/page/fields/tensor.js";
import { shortest } from "../../../edge/browser/web/page/fields/number.js";

const plain = (value) => JSON.parse(JSON.stringify(value, (_, held) => {
  if (ArrayBuffer.isView(held)) return Array.from(held, (one) => (typeof one === "bigint" ? Number(one) : one));
  return typeof held === "number" && !Number.isFinite(held) ? String(held) : held;
}));

const KINDS = { f32: Float32Array, i64: BigInt64Array, u8: Uint8Array };

const topics = {
  safetensors: ({ path }) => {
    const file = readFileSync(path);
    try {
      const tensors = readSafetensors(file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength));
      return Object.fromEntries([...tensors].map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data: Array.from(data, Number) }]));
    } catch (error) {
      return { refused: error.kind ?? error.name, what: error.what ?? error.message };
    }
  },
  row: ({ dtype, shape, data, axis, row }) => {
    const Kind = KINDS[dtype];
    return rowOf({ dtype, shape, data: Kind.from(data, (value) => (dtype === "i64" ? BigInt(value) : value)) }, axis, row);
  },
  parse: ({ text, shape }) => parse(text, shape) ?? null,
  figures: (asked) => asked.map(([name, ...values]) => ({ bytes, cosine, figure, flat, milliseconds, nest, percent, shortest, layoutOf, ground })[name](...values)),
  latest: async () => {
    const done = [];
    const turn = () => new Promise((resolve) => setTimeout(resolve, 5)); // timers that were set for at once have gone before
    let release = () => {};
    const held = new Promise((resolve) => { release = resolve; });
    const ask = latest(async (job) => {
      await held;
      done.push(job);
    });
    for (const job of [1, 2, 3, 4]) {
      ask(job);
      await turn();
    }
    release();
    await turn();
    return done;
  },
};

const { topic, question } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(plain(await topics[topic](question))));
