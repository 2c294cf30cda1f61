"""Writes edge/browser/web/codec/unicode_classes.js from sdk/core/codec/unicode_classes.py; a test keeps the two equal.

Run: python tests/vectors/make_codec_tables.py
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from portside.sdk.core.codec.unicode_classes import CONTROL, MARKS, PUNCTUATION

OUT = Path(__file__).parents[2] / "edge/browser/web/codec/unicode_classes.js"
_HEAD = """/**
 * Classes of characters for WordPiece, fixed at Unicode 8.0 so that every browser gives the same ids.
 *
 * Made by tests/vectors/make_codec_tables.py from sdk/core/codec/unicode_classes.py: change that file, not this one.
 */
"""
_FOOT = """
/** The code points of a table: ranges in ascending order. @param {string} table @returns {{has: (point: number) => boolean}} */
export function codePoints(table) {
  const ranges = table.split(" ").map((range) => range.split("-").map((side) => parseInt(side, 16)));
  const first = Uint32Array.from(ranges, ([low]) => low);
  const last = Uint32Array.from(ranges, ([low, high = low]) => high);
  return { has: (point) => point <= (last[placeOf(first, point)] ?? -1) };
}

/** The place of the last element that is not above a value; -1 where there is none. @param {Uint32Array} ascending @param {number} value */
function placeOf(ascending, value) {
  let low = -1;
  for (let high = ascending.length; high - low > 1; ) {
    const middle = (low + high) >> 1;
    if (ascending[middle] <= value) low = middle;
    else high = middle;
  }
  return low;
}
"""


def text() -> str:
    """The whole file."""
    tables = {"MARKS": MARKS, "PUNCTUATION": PUNCTUATION, "CONTROL": CONTROL}
    return _HEAD + "".join(_table(name, ranges) for name, ranges in tables.items()) + _FOOT


def _table(name: str, ranges: str) -> str:
    lines = textwrap.wrap(" ".join(ranges.split()), 120, break_on_hyphens=False)
    return f"\nexport const {name} =\n" + " +\n".join(f'  "{line}{" " if line is not lines[-1] else ""}"' for line in lines) + ";\n"


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
