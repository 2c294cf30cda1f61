/** What needs no browser, replayed in node: `node pure.mjs TOPIC < data` prints a list of {name, wrong}; an empty list is a pass. */

import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

const LIBRARY = new URL("../../../edge/browser/web/", import.meta.url);
const library = (name) => import(new URL(name, LIBRARY).href);
const ARRAYS = { f32: Float32Array, f64: Float64Array, i8: Int8Array, u8: Uint8Array, i32: Int32Array, i64: BigInt64Array, bool: Uint8Array };

const topics = {
  async door({ cases }) {
    const { Door } = await library("door.js");
    return cases.map(({ name, signature, inputs, expect }) => compared(name, verdict(Door, signature, inputs), asGiven(expect)));
  },

  async failover({ scenarios }) {
    const policy = await library("failover.js");
    return scenarios.flatMap((scenario) => replay(policy, scenario));
  },

  async canonical(cases) {
    const { canonical, parseExact } = await library("exact_json.js");
    return cases.map(({ name, text, expect }) => compared(name, canonical(parseExact(text, name)), expect));
  },

  async refused(cases) {
    const { parseExact } = await library("exact_json.js");
    return cases.map(({ name, text }) => compared(name, kindOf(() => parseExact(text, name)), "FormatError"));
  },

  async sealed(cases) {
    const { audited } = await library("source.js");
    return Promise.all(cases.map(async ({ name, text, digest, expect }) => compared(name, await audited(text, digest).then((held) => held.name, (error) => error.kind), expect)));
  },

  async digest(cases) {
    const { sha256, sha256Plain } = await library("digest.js");
    return Promise.all(cases.map(async ({ size, expect }) => {
      const bytes = Uint8Array.from({ length: size }, (_, place) => place % 251);
      return compared(`${size} bytes`, [await sha256(bytes), Buffer.from(sha256Plain(bytes)).toString("hex")], [expect, expect]);
    }));
  },

  async canvas(cases) {
    const { padAll } = await library("canvas.js");
    return cases.map(({ name, canvas, images, expect }) => {
      const held = images.map(({ shape, data }) => ({ dtype: "u8", shape, data: Uint8Array.from(data) }));
      const { photo, photo_size: size } = padAll({ inputs: [{ name: "photo", canvas }] }, { photo: held });
      return compared(name, [photo.shape, [...photo.data], size.dtype, size.shape, [...size.data]], expect);
    });
  },

  async options(cases) {
    const { asked } = await library("options.js");
    return cases.map(({ name, given, expect }) => compared(name, refusalOf(() => asked(...given.map(revived))), expect));
  },

  async endpoint({ signature, cases }) {
    const { checkOutputs } = await library("outside.js");
    return cases.map(({ name, outputs, expect }) => compared(name, refusalOf(() => checkOutputs(outputs, signature, 2)), expect));
  },

  async default({ signature, cases }) {
    const { defaultRow, repeated } = await library("outside.js");
    return cases.map(({ name, values, expect, refused }) => {
      const asked = () => compared(name, repeated(defaultRow(values, signature), 2, signature), expect);
      return refused ? compared(name, refusalOf(asked), refused) : asked();
    });
  },

  async rows({ artifact, cases }) {
    const { rowsOf } = await library("wire.js");
    const typed = (value) => (value?.data ? { ...value, data: Uint8Array.from(value.data) } : value);
    return cases.map(({ wire, expect }) => compared(JSON.stringify(wire), rowsOf(Object.fromEntries(Object.entries(wire).map(([name, value]) => [name, typed(value)])), artifact), expect));
  },

  /** A cache with `first` spares the model for as long as its answer is fresh; a stale one is for when the model fails. */
  async first() {
    const { Chain } = await library("chain.js");
    const artifact = { name: "m", package: "sha256:m", target: "wasm", signature: { inputs: [{ name: "x", shape: ["batch"], batch_axis: 0 }], outputs: [] } };
    const chain = new Chain(artifact, { chain: [{ cache: { ttl_s: 10, stale: true, first: true } }] }, null);
    let [clock, calls, broken] = [0, 0, false];
    chain.entries[1].answers.clock = () => clock;
    const predict = async () => {
      if (broken) throw new Error("broken");
      return { outputs: { y: [(calls += 1)] }, flags: [], flaw: null };
    };
    chain.local = { predict, ready: true };
    const told = [];
    for (const [now, x, fails] of [[0, 1, false], [4000, 1, false], [4000, 2, false], [11000, 1, true], [11000, 1, false]]) {
      [clock, broken] = [now, fails];
      const { outputs, receipt } = await chain.predict({ x: [x] });
      told.push([outputs.y[0], receipt.reason, receipt.entry, receipt.stale, receipt.age_ms]);
    }
    const expected = [[1, "primary", 0, false, null], [1, "cached", 1, false, 4000], [2, "primary", 0, false, null], [1, "failed", 1, true, 11000], [3, "primary", 0, false, null]];
    return [compared("fresh, other, stale", told, expected)];
  },

  /** Calls begin in the order in which they were made, one at a time, one that fails does not hold up the next, and closing waits. */
  async turns() {
    const { Program } = await library("program.js");
    const [told, y] = [[], { dtype: "f32", shape: [1], data: Float32Array.of(1) }];
    const segment = {
      async run(_, values) {
        const call = values.x.data[0];
        told.push(`${call} begins`);
        for (let wait = call; wait < 9; wait += 1) await null; // earlier calls take longer
        told.push(`${call} ends`);
        if (call === 2) throw new Error("failed");
        values.y = y;
      },
    };
    const spec = { dtype: "f32", shape: ["batch"], batch_axis: 0 };
    const signature = { inputs: [{ ...spec, name: "x" }], outputs: [{ ...spec, name: "y" }] };
    const program = new Program({ signature }, null, { close: async () => told.push("closed") }, [{ segment, writes: ["y"] }]);
    const calls = [1, 2, 3].map((x) => program.run({ x: [x] }).then(() => "answered", (error) => error.message));
    const closing = program.close();
    calls.push(program.run({ x: [4] }).then(() => "answered", (error) => error.reason));
    const found = [await Promise.all(calls), await closing, told];
    const turns = [1, 2, 3].flatMap((call) => [`${call} begins`, `${call} ends`]);
    return [compared("three calls and a close", found, [["answered", "failed", "answered", "closed"], undefined, [...turns, "closed"]])];
  },

  async state(cases) {
    const { withInitial } = await library("state.js");
    return cases.map(({ name, signature, inputs, expect }) => {
      const made = withInitial(signature, Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, tensorOf(value.tensor)])));
      return compared(name, Object.fromEntries(Object.entries(made).map(([key, { dtype, shape, data }]) => [key, { dtype, shape, data: [...data] }])), expect);
    });
  },
};

function compared(name, found, expected) {
  return { name, ...(isDeepStrictEqual(found, expected) ? {} : { found: shown(found), expected: shown(expected) }) };
}

function shown(value) {
  return JSON.stringify(value, (_, held) => (typeof held === "bigint" ? `${held}n` : typeof held === "number" && !Number.isFinite(held) ? String(held) : held));
}

function kindOf(call) {
  try {
    return shown(call());
  } catch (error) {
    return error.kind;
  }
}

/** What was refused, in the parts that a reader sees; null where nothing was. */
function refusalOf(call) {
  try {
    call();
    return null;
  } catch (error) {
    return error.kind ? [error.kind, error.what, error.fix ?? null] : String(error);
  }
}

/** Absent arguments and functions, which JSON has not. */
function revived(value) {
  if (value === "undefined") return undefined;
  return value?.fetch === "function" ? { ...value, fetch: () => null } : value;
}

function tensorOf({ dtype, shape, data }) {
  return { dtype, shape, data: ARRAYS[dtype].from(data, dtype === "i64" ? BigInt : Number) };
}

/** A value of the vectors as a page's caller gives it. */
function given(value) {
  if (value?.tensor) return tensorOf(value.tensor);
  return value?.images ? value.images.map(tensorOf) : value;
}

function verdict(Door, signature, inputs) {
  try {
    const { values, flags } = new Door(signature).check(Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, given(value)])));
    return { values: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, seen(value)])), flags: flags.map((flag) => ({ ...flag, value: scalar(flag.value) })) };
  } catch (error) {
    return { refused: { what: error.what, field: error.field, row: error.row }, ...(error.kind === "InputError" ? {} : { kind: error.kind ?? String(error) }) };
  }
}

/** What the door returned, in the vectors' notation. */
function seen(value) {
  return Array.isArray(value) ? { images: value.map((image) => seen(image).tensor) } : { tensor: { dtype: value.dtype, shape: value.shape, data: [...value.data].map(scalar) } };
}

function scalar(value) {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** The expectation as JavaScript has it: booleans are bytes, and a batch of images is a list of them. */
function asGiven(expect) {
  if (!expect.values) return expect;
  return { ...expect, values: Object.fromEntries(Object.entries(expect.values).map(([name, value]) => [name, bytes(value)])) };
}

function bytes(value) {
  const { tensor } = value;
  if (tensor?.dtype === "bool") return { tensor: { ...tensor, data: tensor.data.map(Number) } };
  if (tensor?.shape.length !== 4) return value;
  const [rows, ...shape] = tensor.shape;
  const size = shape.reduce((product, side) => product * side, 1);
  return { images: Array.from({ length: rows }, (_, row) => ({ dtype: tensor.dtype, shape, data: tensor.data.slice(row * size, (row + 1) * size) })) };
}

function replay({ policyOf, start, arrive, decide, observe, reasonOf }, scenario) {
  const policy = policyOf(scenario.policy);
  let breakers = start(policy);
  const requests = {};
  return scenario.steps.flatMap(({ op, request, now, outcome, down, expect }, place) => {
    if (op === "arrive") requests[request] = arrive(now);
    let found = expect;
    if (op === "decide") [found, breakers, requests[request]] = decide(policy, breakers, requests[request], now, down ?? []);
    if (op === "observe") {
      [breakers, requests[request]] = observe(policy, breakers, requests[request], outcome, now);
      const { attempts, answered_by } = requests[request];
      found = { states: breakers.map(({ state }) => state), reason: reasonOf(requests[request]), attempts, answered_by };
    }
    return expect === undefined ? [] : [compared(`${scenario.name}, step ${place}`, found, expect)];
  });
}

const topic = process.argv[2];
const results = await topics[topic](JSON.parse(readFileSync(0, "utf8")));
process.stdout.write(JSON.stringify({ checked: results.length, wrong: results.filter((result) => "found" in result) }));
