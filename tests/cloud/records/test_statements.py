"""However rows share a statement, what is in the table is what each of them says, in their order."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.records.statements import AT_ONCE, OWN, SHAPES, any_rows, statements
from portside.cloud.records.tables import COLUMNS, NUMBERS, OPTIONAL

VALUE = {name: st.integers(0, 3) if name in NUMBERS else st.sampled_from(["a", "b\x00", "\u00e9"]) for name in COLUMNS}
VALUE |= {name: st.none() | VALUE[name] for name in OPTIONAL}


@st.composite
def runs(draw):
    """Rows in runs: within one all columns but some are the same."""
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        first = [draw(VALUE[name]) for name in COLUMNS]
        varying = draw(st.sampled_from([OWN, (*OWN, "entity"), ("name",), COLUMNS, ()]))
        for _ in range(draw(st.sampled_from([1, 2, 5, 33, 70]))):
            row = [
                f"{value}{len(rows)}" if name in varying and isinstance(value, str) else value
                for name, value in zip(COLUMNS, first, strict=True)
            ]
            rows.append((f"id{len(rows) - draw(st.integers(0, 20)) // 20}", *row[1:]))
    return rows


def held(rows, ways):
    with closing(sqlite3.connect(":memory:")) as database:
        kinds = (f"{name} {'INTEGER' if name in NUMBERS else 'TEXT'}{' UNIQUE' if name == 'id' else ''}" for name in COLUMNS)
        database.execute(f"CREATE TABLE records (seq INTEGER PRIMARY KEY, {', '.join(kinds)})")
        for statement, values in ways(rows):
            database.execute(statement, values)
        return database.execute("SELECT * FROM records ORDER BY seq").fetchall()


@settings(max_examples=60, deadline=None)
@given(runs())
def test_rows_are_as_if_written_one_by_one(rows):
    one_by_one = [(any_rows(1), row) for row in rows]
    assert held(rows, statements) == held(rows, lambda _: one_by_one)


@pytest.mark.parametrize(("entities", "bound"), [((None,), 0), (("ana",), 0), (("ana", "ben"), 1)])
def test_what_rows_have_in_common_is_bound_once(entities, bound):
    size = AT_ONCE[0]
    rows = [
        tuple({"id": f"i{place}", "entity": entities[place % len(entities)]}.get(name, "same") for name in COLUMNS) for place in range(size)
    ]
    [(statement, values)] = statements(rows)
    own = len(OWN) + bound
    assert len(values) == len(COLUMNS) - own + size * own and statement.count("?") == size * len(COLUMNS)
    assert SHAPES[bound].statement(list(zip(*rows, strict=True))) == (statement, values)
