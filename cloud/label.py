"""`ps.label`: say later what was right."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from ..sdk.core.errors import InputError
from ..sdk.core.labels import Label
from ..sdk.core.records import new_id
from .records.finding import open_records
from .records.labelling import label as write

VARIABLE = "PORTSIDE_RECORDS"


def label(record: str, values: Mapping[str, Any], *, author: str, row: int = 0, note: str = "", records: str | Path | None = None) -> Label:
    """Label one row of a record. When this returns the label is durable; it corrects what was said of the row before.

    Args:
        record: its id, as receipts hold it.
        values: output -> what was right: the name or code of a category, a number.
        author: who says so.
        row: of the record.
        note: free text.
        records: DEPLOYMENT.toml, a SQLite file, or a database's URL; default: $PORTSIDE_RECORDS.

    Raises:
        InputError: values that the outputs cannot hold, a row that there is not, or nowhere to write to.
        FormatError: no records there.
        StoreError: the database does not take it.
    """
    where = records or os.environ.get(VARIABLE)
    if not where:
        raise InputError("Nothing says where the records are", field="records", expected="DEPLOYMENT.toml, a SQLite file, or a URL",
                         fix=f'Pass records="deployment.toml", or set {VARIABLE}.')  # fmt: skip
    number = new_id()
    said = Label(number, record, row, dict(values), author, UUID(number).int >> 80, "api", note)
    with open_records(where) as database:
        write(database, [said])
    return said
