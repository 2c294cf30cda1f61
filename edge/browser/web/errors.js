/** The one kind of error that leaves this library: what happened, what was got, what was expected, what to do next. */

/**
 * @typedef {"InputError"|"FormatError"|"IntegrityError"|"EngineError"|"UnsupportedError"} Kind
 * @typedef {{got?: unknown, expected?: unknown, fix?: string, field?: string, row?: number|null, reason?: string}} Details
 */

/** An error with its parts, so that a page can show them and a caller can act on them. */
export class PortsideError extends Error {
  /**
   * @param {Kind} kind
   * @param {string} what
   * @param {Details} [details]
   */
  constructor(kind, what, details = {}) {
    super(message(what, details));
    this.name = kind;
    this.kind = kind;
    this.what = what;
    this.got = details.got;
    this.expected = details.expected;
    this.fix = details.fix;
    this.field = details.field;
    this.row = details.row ?? null;
    this.reason = details.reason;
  }

  /** Plain data, which passes between a worker and a page. */
  toJSON() {
    const { kind, what, got, expected, fix, field, row, reason } = this;
    return { kind, what, got: shown(got), expected: shown(expected), fix, field, row, reason };
  }

  /** @param {ReturnType<PortsideError["toJSON"]>} data */
  static fromJSON({ kind, what, ...details }) {
    return new PortsideError(kind, what, details);
  }
}

/** A value as short text. @param {unknown} value */
export function shown(value) {
  if (value === undefined || value === null) return value ?? undefined;
  const text = typeof value === "string" ? value : typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}

/** @param {string} what @param {Details} details */
function message(what, { got, expected, fix, field, row }) {
  const where = field === undefined ? "" : row === undefined || row === null ? ` (${field})` : ` (${field}, row ${row})`;
  const parts = [`${what}${where}`];
  if (got !== undefined) parts.push(`got ${shown(got)}`);
  if (expected !== undefined) parts.push(`expected ${shown(expected)}`);
  return parts.join("; ") + (fix ? `. ${fix}` : "");
}
