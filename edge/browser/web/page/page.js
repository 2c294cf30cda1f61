/** The demo page of a bundle: loads the model, makes the form from its signature, and answers as the inputs change. */

import { load } from "../../model.js";
import { answerNodes, empty, failure, spoken, turn } from "./answer.js";
import { el, readable } from "./element.js";
import { arrange, describe, fillForm, makeField, readForm } from "./form.js";
import { bytes } from "./figures.js";
import { compared, goldenPicker, goldenRows, named } from "./golden.js";
import { showHeader } from "./header.js";
import { latest } from "./live.js";
import { memory } from "./memory.js";
import { peek } from "./peek.js";
import { ground, layoutOf } from "./pixels.js";
import { receiptPart } from "./receipt.js";
import { readBack, tokenCounter } from "./tokens.js";

const BUNDLE = new URL("../../", import.meta.url);
const PAUSE_MS = 140;
const at = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} path */
async function read(path) {
  const response = await fetch(new URL(path, BUNDLE));
  if (!response.ok) throw new Error(`${path} cannot be read: ${response.status}`);
  return response.arrayBuffer();
}

/** A bar of the bytes that the model and its engine need. @param {any} artifact */
function progressBar(artifact) {
  const needed = (/** @type {string} */ name) => /^(engine|codec)\//.test(name);
  const total = Object.entries(artifact.files).reduce((sum, [name, entry]) => (needed(name) ? sum + /** @type {any} */ (entry).size : sum), 0);
  const done = new Map();
  return (/** @type {{file: string, loaded: number}} */ { file, loaded }) => {
    if (needed(file)) done.set(file, loaded);
    const share = total ? Math.min(1, [...done.values()].reduce((sum, size) => sum + size, 0) / total) : 1;
    /** @type {HTMLElement} */ (at("loading").firstElementChild).style.transform = `scaleX(${Math.max(0.04, share)})`;
    at("loading").setAttribute("aria-valuenow", String(Math.round(share * 100)));
    at("state").textContent = share < 1 ? `${bytes(share * total)} of ${bytes(total)}` : "Starting the engine";
  };
}

/** Threads where the page may have them: half of the cores, at most four, so that the page itself stays fluent. */
function threads() {
  return globalThis.crossOriginIsolated ? Math.max(1, Math.min(4, Math.floor(navigator.hardwareConcurrency / 2))) : 1;
}

async function start() {
  at("stuck").remove();
  at("body").replaceChildren(empty("Loading the model", "It is fetched once and runs on this device."));
  try {
    const artifact = JSON.parse(new TextDecoder().decode(await read("artifact.json")));
    const loading = load(undefined, { threads: threads(), onprogress: progressBar(artifact) });
    const [golden, model] = await Promise.all([goldenRows(artifact, read).then((found) => (showHeader(artifact, found.licence), found)), loading]);
    build(model, artifact, golden);
  } catch (error) {
    at("body").replaceChildren(failure(error));
    at("state").textContent = "Not loaded";
    throw error;
  } finally {
    at("loading").classList.add("done");
  }
}

/** @param {any} model @param {any} artifact @param {{rows: import("./golden.js").Row[], rules: any}} golden */
function build(model, artifact, golden) {
  const { signature } = model.info;
  const state = memory(signature, () => changed());
  const described = describe(model.info, artifact, state.inputs, {
    bright: (name) => isBright(golden.rows, name),
    counter: (step) => tokenCounter(step, read),
    reader: (step) => (ids) => readBack(step, read, ids),
  });
  const fields = described.map((/** @type {any} */ field) => makeField(field, () => changed()));
  arrange(fields);
  const receipt = receiptPart(model.info, artifact);
  /** @type {import("./answer.js").View} */
  const view = { all: false, vectors: {} };
  const glance = peek(at("answer"));
  const picker = golden.rows.length ? goldenPicker(golden.rows, signature, (row) => pick(row)) : null;
  const live = el("input", { type: "checkbox", role: "switch", checked: true });
  const submit = el("div.submit", {}, el("button.button.main", { type: "submit" }, "Predict"), el("label.tick", {}, live, "Live answers"));
  const form = at("inputs");
  form.replaceChildren(...[picker?.node, ...fields.map((field) => field.node), state.node, submit].filter((node) => node !== null && node !== undefined));

  const ask = latest(async (/** @type {{row?: import("./golden.js").Row, pressed?: boolean}} */ job) => answer(job));
  const changed = () => {
    picker?.press(null);
    if (live.checked && !signature.state?.length) ask({}, PAUSE_MS);
  };
  const pick = (/** @type {import("./golden.js").Row} */ row) => {
    fillForm(fields, described, row.inputs);
    state.reset();
    ask({ row });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    picker?.press(null);
    ask({ pressed: true });
  });
  live.addEventListener("change", () => live.checked && changed());

  /** @param {{row?: import("./golden.js").Row, pressed?: boolean}} job */
  async function answer({ row, pressed = false }) {
    for (const field of fields) field.fail(null);
    const form = row ? null : readForm(fields);
    if (form?.missing.length) return pressed ? point(form.missing) : wait(form.missing[0].why);
    at("body").classList.add("stale");
    try {
      const summary = row ? `golden input ${row.place + 1}` : fields.map((field) => field.summary()).join(", ");
      if (row) await askGolden(row, summary);
      else show(await model.predict({ ...form?.wire, ...state.values() }), summary, []);
    } catch (error) {
      fail(error);
    }
    at("body").classList.remove("stale");
  }

  /** @param {import("./golden.js").Row} row @param {string} summary */
  async function askGolden(row, summary) {
    const begun = performance.now();
    const typed = await model.run(row.inputs);
    const total = performance.now() - begun;
    const receipt = { model: model.info.name, version: model.info.package, target: model.info.target, entry: 0, reason: "primary", attempts: [], time_ms: total, stale: false };
    show({ outputs: named(typed, signature), receipt }, summary, [compared(row, typed, signature, golden.rules)]);
  }

  /** @param {any} given @param {string} summary @param {Node[]} more */
  function show(given, summary, more) {
    state.keep(given.outputs);
    turn(view, summary);
    at("body").replaceChildren(...answerNodes(given.outputs, signature, state.outputs, view), ...more);
    at("spoken").textContent = spoken(given.outputs, signature, state.outputs);
    glance(at("spoken").textContent ?? "");
    at("state").textContent = given.flags?.length ? noticed(given.flags) : "";
    receipt.show(given);
    remember(given.outputs, summary);
  }

  /** @param {Record<string, any>} outputs @param {string} summary */
  function remember(outputs, summary) {
    for (const spec of signature.outputs.filter((/** @type {any} */ one) => one.kind === "embedding")) {
      view.vectors[spec.name] = { ...view.vectors[spec.name], now: { vector: outputs[spec.name][0], summary } };
    }
  }

  /** @param {string} why @param {string} [title] */
  function wait(why, title = "Ready") {
    glance("");
    at("body").replaceChildren(empty(title, why));
    at("body").classList.remove("stale");
    at("state").textContent = "";
  }

  /** Predict was pressed too early: say at every field what it lacks, and lead to the first. @param {{field: import("./fields/card.js").Field, why: string}[]} missing */
  function point(missing) {
    const [{ field: first, why }] = missing;
    wait(why, "Something is missing");
    for (const { field, why: what } of missing) field.fail({ what });
    /** @type {HTMLElement|null} */ (first.node.querySelector("canvas[tabindex], .control, button"))?.focus();
  }

  /** @param {any} error */
  function fail(error) {
    glance("");
    const place = described.findIndex((/** @type {any} */ field) => field.name === error.field || field.inputs.includes(error.field));
    if (place >= 0) fields[place].fail(error);
    const title = place >= 0 ? [empty("No answer", `Please look at ${described[place].name}.`)] : [failure(error)];
    at("body").replaceChildren(...title);
    at("state").textContent = "";
  }

  begin();

  /** What a visitor sees first: an answer where there is something to ask, and never a step of a memory unasked. */
  function begin() {
    const [first] = golden.rows;
    if (first) fillForm(fields, described, first.inputs);
    if (signature.state?.length) return wait("Press Predict: each answer is one step of the model's memory.");
    if (first) picker?.press(0);
    ask({ row: first });
  }
}

/** Pictures of this model have a bright ground, as far as the golden ones tell. @param {import("./golden.js").Row[]} rows @param {string} name */
function isBright(rows, name) {
  const levels = rows.map((row) => row.inputs[name]).filter((tensor) => tensor?.dtype === "u8" && layoutOf(tensor.shape.slice(1)))
    .map((tensor) => ground(tensor.data, /** @type {import("./pixels.js").Layout} */ (layoutOf(tensor.shape.slice(1)))));
  return levels.length ? levels.reduce((sum, level) => sum + level, 0) / levels.length > 127 : null;
}

/** What the door noticed but accepted. @param {{field: string, why: string}[]} flags */
function noticed(flags) {
  const words = /** @type {Record<string, string>} */ ({ range: "outside the usual range", clamped: "brought into its range", unknown: "an unknown category", absent: "left at its default" });
  const [first] = flags;
  const more = flags.length > 1 ? `, and ${flags.length - 1} more` : "";
  return `Noticed: ${readable(first.field)} is ${words[first.why] ?? first.why}${more}`;
}

start();
