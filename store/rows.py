"""A batch of Python rows: checked, sorted, and written as binary COPY."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime

import psycopg
from psycopg.types.json import set_json_dumps

from store.table import Table
from store.values import Unfit, all_fitted, fitted, shown

Row = Sequence[object]
Refusal = tuple[Row, str]  # a row as it came, and why it cannot be written


class Rows:
    """Rows of a table in the order of its key; `given` are the same rows as they came."""

    def __init__(self, table: Table, rows: Sequence[Row], given: Sequence[Row]) -> None:
        self.table, self.rows, self.given = table, rows, given

    @classmethod
    def of(cls, table: Table, given: Sequence[Row]) -> tuple[Rows, list[Refusal]]:
        """Those of `given` that fit into the columns, and the others."""
        refused: list[Refusal] = []
        rows = _all_fitted(table, given)
        if rows is None:
            rows, given, refused = _fitted(table, given)
        return cls(table, *_sorted(table, rows, given)), refused

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> Rows:
        return Rows(self.table, self.rows[part], self.given[part])

    @property
    def types(self) -> tuple[str, ...]:
        """The types of the columns that `copy` writes."""
        return tuple(column.type for column in self.table.columns)

    def row(self, index: int) -> Row:
        return self.given[index]

    def distinct(self, column: str) -> set[object]:
        at = self.table.names.index(column)
        return {row[at] for row in self.rows}

    def later(self, moment: datetime) -> tuple[Rows, Rows]:
        """The rows after `moment`, without those whose key comes a second time; and the others."""
        at = self.table.names.index("ts")
        places = [self.table.names.index(name) for name in self.table.key]
        early: set[int] = set()
        before: tuple[object, ...] = ()
        for n, row in enumerate(self.rows):
            key = tuple(row[place] for place in places)
            if not isinstance(ts := row[at], datetime) or ts <= moment or key == before:
                early.add(n)
            before = key
        return self.drop(early), self.drop({*range(len(self.rows))} - early)

    def months(self) -> dict[tuple[int, int], datetime]:
        """A moment of each month that has rows; none where nothing is measured."""
        if "ts" not in self.table.names or not self.rows:
            return {}
        at = self.table.names.index("ts")
        moments = [moment for row in self.rows if isinstance(moment := row[at], datetime)]
        ends = {_month(moment): moment for moment in (min(moments), max(moments))} if moments else {}
        return ends if len(ends) < 2 else {_month(moment): moment for moment in moments}

    def without(self, months: Container[tuple[int, int]]) -> tuple[Rows, list[Row]]:
        """The rows of other months, and those of `months` as they came."""
        at = self.table.names.index("ts")
        gone = {n for n, row in enumerate(self.rows) if isinstance(ts := row[at], datetime) and _month(ts) in months}
        return self.drop(gone), [self.given[n] for n in sorted(gone)]

    def drop(self, indices: Container[int]) -> Rows:
        """The other rows."""
        keep = [n for n in range(len(self.rows)) if n not in indices]
        return Rows(self.table, [self.rows[n] for n in keep], [self.given[n] for n in keep])

    def copy(self, cursor: psycopg.Cursor, statement: psycopg.sql.Composed) -> None:
        """Run the binary COPY `statement`."""
        set_json_dumps(str, cursor)  # it is JSON already
        with cursor.copy(statement) as copy:
            copy.set_types([column.oid for column in self.table.columns])
            for row in self.rows:
                copy.write_row(row)


def _all_fitted(table: Table, given: Sequence[Row]) -> Sequence[Row] | None:
    if set(map(len, given)) != {len(table.columns)}:
        return None
    columns = []
    for column, values in zip(table.columns, zip(*given, strict=True), strict=True):
        fit = all_fitted(column, values)
        if fit is None:
            return None
        columns.append(fit)
    return list(zip(*columns, strict=True))


def _fitted(table: Table, given: Iterable[Row]) -> tuple[list[Row], list[Row], list[Refusal]]:
    rows: list[Row] = []
    kept: list[Row] = []
    refused: list[Refusal] = []
    for row in given:
        if len(row) != len(table.columns):
            refused.append((row, f"has {len(row)} values for {len(table.columns)} columns"))
            continue
        fit: list[object] = []
        for column, value in zip(table.columns, row, strict=True):
            try:
                fit.append(fitted(column, value))
            except Unfit as error:
                refused.append((row, f"{column.name} = {shown(value)}: {error}"))
                break
        else:
            rows.append(fit)
            kept.append(row)
    return rows, kept, refused


def _sorted(table: Table, rows: Sequence[Row], given: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    # Two writers of the same rows then wait for each other and never in a circle. Of equal keys the first stays first.
    places = [table.names.index(name) for name in table.key if name in table.names]
    keys = [tuple(row[place] for place in places) for row in rows]
    try:
        order = sorted(range(len(keys)), key=keys.__getitem__)
    except TypeError:  # a null, which the server refuses
        return rows, given
    if order == list(range(len(order))):
        return rows, given
    return [rows[n] for n in order], [given[n] for n in order]


def _month(moment: datetime) -> tuple[int, int]:
    utc = moment.astimezone(UTC)
    return utc.year, utc.month
