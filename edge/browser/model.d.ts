/**
 * A Portside model in a page. Nothing but files of the bundle is fetched, and an endpoint where `failover` names one.
 *
 *     import { load } from "./dist/model.js";
 *     const model = await load();
 *     const { outputs, receipt } = await model.predict({ photo: file });
 */

export type DType = "f32" | "f64" | "f16" | "i8" | "u8" | "i32" | "i64" | "bool" | "string";

export type TypedArray =
  | Float32Array | Float64Array | Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Int32Array | Uint32Array
  | BigInt64Array | BigUint64Array;

/** A tensor; `dtype` may be left out where the array says it. f16 lies in a Float32Array, bool in a Uint8Array. */
export interface Tensor {
  dtype?: DType;
  shape: number[];
  data: TypedArray | unknown[];
}

/** A tensor that the model made. */
export interface OutputTensor {
  dtype: DType;
  shape: number[];
  data: TypedArray;
}

/** One value of a field. */
export type WireValue = string | number | bigint | boolean | null | Blob | ArrayBuffer | TypedArray | ImageData | Tensor | WireValue[];

/** Field -> a batch (a list, a tensor), or one bare value. */
export type Wire = Record<string, WireValue>;

/** An output as JSON has it: nested arrays, batch first; names of categories; BigInt only beyond 2 ** 53; NaN stays NaN. */
export type Output = string | number | bigint | boolean | null | Output[];

export interface TensorSpec {
  name: string;
  dtype: DType;
  shape: (number | string)[];
  batch_axis: number | null;
  unit?: string;
  range?: [number, number];
  on_range?: "flag" | "reject" | "clamp";
  categories?: string[];
  on_unknown?: "flag" | "reject";
  missing?: boolean;
  required?: boolean;
  default?: number | boolean | string;
  kind?: "decision" | "score" | "value" | "embedding" | "ranking" | "detections" | "sequence";
  top_k?: number;
  canvas?: [number, number];
}

export interface Signature {
  inputs: TensorSpec[];
  outputs: TensorSpec[];
  state?: { output: string; input: string; shape: (number | string)[]; initial: unknown }[];
}

/** One thing that a caller sends. */
export interface WireField {
  name: string;
  type: "image" | "text" | "category" | "number" | "tensor";
  /** null is a value. */
  missing: boolean;
  /** The typed inputs made from it. */
  inputs: string[];
  /** The names that are known, for categories. */
  values: string[] | null;
}

export interface Info {
  name: string;
  target: string;
  /** Digest of the package. */
  package: string;
  /** Digest of the bundle; what `digest` pins. */
  artifact: string;
  signature: Signature;
  fields: WireField[];
  /** How many threads the engine uses; 0 where it could not be opened. */
  threads: number;
  /** The page is cross-origin isolated; without it there is one thread. */
  isolated: boolean;
  /** What is worth knowing although everything works: that threads were asked for and the page has none, and how it gets them. */
  notices: string[];
  verified: Record<string, unknown>;
  /** Why the model in this page could not be opened, where `failover` answers in its place. */
  fault: ErrorData | null;
}

/** What was accepted although it is unusual: a typed input, the first such value of each row. */
export interface Flag {
  field: string;
  /** null: the whole field. */
  row: number | null;
  /** Outside its range; brought into it; a category that is not known; not sent, so that its default stood in. */
  why: "range" | "clamped" | "unknown" | "absent";
  value: unknown;
}

/**
 * Why an entry did not answer; of entry 0, "primary" where it did. `down`: its worker is being replaced, or it could not be opened.
 * `cached`: a cache with `first` answered before anybody was asked.
 */
export type Reason = "primary" | "deadline" | "breaker-open" | "crashed" | "failed" | "non-finite" | "busy" | "down" | "cached";

/** Who answered, why, and what it cost: the words of the server's receipts. Times in milliseconds. */
export interface Receipt {
  /** Name of the package, the endpoint's URL, "cache" or "default". */
  model: string;
  /** Digest of the package; empty where there is none. */
  version: string;
  target: string;
  /** Place in the chain; 0 is the model in this page, -1 nobody (in the receipt of an error). */
  entry: number;
  /** "primary", or why entry 0 did not answer. */
  reason: Reason;
  /** "entry:reason" for every entry that did not answer, in order; "2:miss" where a cache held no answer to this input. */
  attempts: string[];
  /** Since the call. */
  time_ms: number;
  /** In the entry that answered. */
  model_ms: number;
  /** Reading the input, where the model in this page answered. */
  codec_ms?: number;
  /** Running the model, likewise. */
  engine_ms?: number;
  deadline_ms: number | null;
  within_deadline: boolean;
  /** The answer came from a cache after its time to live. */
  stale: boolean;
  /** How old the answer of a cache is; null of every other. */
  age_ms: number | null;
}

export interface Answer {
  /** By the signature's names; category codes as names, null for none. */
  outputs: Record<string, Output>;
  /** Empty where a cache or a default answered. */
  flags: Flag[];
  receipt: Receipt;
}

/**
 * One entry of the chain. An endpoint is a Portside server's typed route, whose answer has to fit the signature. A cache holds what the
 * model in this page answered to the very same input (256 answers by default); with `first` it is asked before the model. A default has every output for one row, and is last.
 */
export type Link =
  | { endpoint: { url: string; timeout_ms: number } }
  | { cache: { ttl_s: number; stale?: boolean; first?: boolean; max_entries?: number } }
  | { default: Record<string, Output> };

/** When an entry is left alone. The rates are off unless given; slow_rate needs slow_ms. Times in milliseconds, rates above 0 and up to 1. */
export interface Breaker {
  failures?: number;
  open_ms?: number;
  max_open_ms?: number;
  probe_ms?: number;
  /** Probes, one after the other, that have to answer before it closes (1). */
  probes?: number;
  /** Opens when this share of the calls in the window failed ... */
  error_rate?: number;
  /** ... or this share took longer than slow_ms. */
  slow_rate?: number;
  slow_ms?: number;
  /** A share is not judged on fewer calls (20). */
  min_calls?: number;
  /** The window (10000), or so many calls. */
  window_ms?: number;
  window_calls?: number;
}

/** Who answers when the model in this page does not: the words of a deployment file's [failover]. Times in milliseconds. */
export interface Failover {
  /** Budget of a call from its beginning; none by default. */
  deadline_ms?: number;
  /** The model in this page is given up this long before the deadline; default: a tenth of it. */
  reserve_ms?: number;
  /** How long another entry that began late may run past the deadline; default: the deadline once more. */
  grace_ms?: number;
  /** After so many failures in a row (5) an entry is left alone for open_ms (1000), doubled up to max_open_ms (8000). */
  breaker?: Breaker;
  /** Asked in order. */
  chain?: Link[];
}

export interface LoadOptions {
  /** Threads of the engine; more than one only in an isolated page. Default: 1. */
  threads?: number;
  /** Run in a worker, so that the page never waits. Default: true. */
  worker?: boolean;
  /** Refuse any other bundle than the one with this digest. */
  digest?: string;
  failover?: Failover;
  /** Used in place of the browser's own for every file of the bundle (a worker gets them through the page) and for endpoints; scripts are imported by the browser itself. */
  fetch?: (url: URL, init?: RequestInit) => Promise<Response>;
  onprogress?: (progress: { file: string; loaded: number; total: number }) => void;
}

export interface CallOptions {
  signal?: AbortSignal;
}

/** A loaded bundle. */
export interface Model {
  readonly info: Readonly<Info>;
  /** What a user has, by wire field: codec, door, engine, category names, and who answered. */
  predict(inputs: Wire, options?: CallOptions): Promise<Answer>;
  /** Typed tensors behind the codec, on the model in this page. */
  run(inputs: Record<string, Tensor | TypedArray | unknown>, options?: CallOptions): Promise<Record<string, OutputTensor>>;
  /** Free the engine; later calls are refused. */
  close(): Promise<void>;
}

/**
 * Open a bundle: audited, its engine started, in a worker.
 * @param url the bundle's folder; default: where model.js lies
 */
export function load(url?: string | URL, options?: LoadOptions): Promise<Model>;
/** Open the bundle that model.js lies in. An option that is not known is refused, and so is a value of the wrong kind. */
export function load(options: LoadOptions): Promise<Model>;

export type ErrorKind = "InputError" | "FormatError" | "IntegrityError" | "EngineError" | "UnsupportedError";

export interface ErrorData {
  kind: ErrorKind;
  what: string;
  got?: string;
  expected?: string;
  fix?: string;
  field?: string;
  row: number | null;
  reason?: string;
}

/** Every error that the library throws on purpose. */
export class PortsideError extends Error {
  kind: ErrorKind;
  what: string;
  got?: unknown;
  expected?: unknown;
  fix?: string;
  field?: string;
  row: number | null;
  /** For engine errors: "failed", "cancelled", "deadline", "crashed", "closed", "busy". */
  reason?: string;
  /** Where nobody answered: who was asked, and why they did not. */
  receipt?: Receipt;
  toJSON(): ErrorData;
}
