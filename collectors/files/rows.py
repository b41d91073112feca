"""From the records of a file to rows of a table: converted, checked, dated, priced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b

from collectors.files.columns import ATTRIBUTE, PREPARED, REQUESTS, Clock, Mapped, Preset, Row, Table
from collectors.files.cost import cost_of
from collectors.files.read import Record
from collectors.files.values import BadValue, number, sane_time, time


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a record was left out: the `line` it starts on, the `field` or "" for the whole line, and the `reason`."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {f'{self.field}: ' if self.field else ''}{self.reason}"


class RowMaker:
    """Makes the row of a record. `columns` are those of the rows it makes.

    Args:
        start: beginning of the file's own clock, in UTC; None where the file has dates.
        now: rows more than a day after it are refused.
    """

    def __init__(
        self, table: Table, preset: Preset | None, mapped: Mapped, start: datetime | None, now: datetime
    ) -> None:
        self._table, self._preset, self._mapped, self._start, self._now = table, preset, mapped, start, now
        self._clock = preset.clock if preset else Clock.SECONDS if start else Clock.DATES
        self.columns = (*dict.fromkeys(("ts", *(["request_id"] if table is REQUESTS else []), *table.fields)), "attrs")
        known = {"preset": preset.name if preset else None, "constants": _plain(mapped.constants)}
        self._identity = json.dumps(known, sort_keys=True).encode()
        self._seen: set[int] = set()

    def make(self, record: Record, index: int) -> tuple[object, ...] | Problem | None:
        """The row of the record that is `index`-th in the file, from 0; why there is none; None where it is skipped."""
        if record.problem is not None:
            return Problem(record.line, "", record.problem)
        if self._preset and self._preset.prepare:
            made = self._preset.prepare(record.values)
            if made is None:
                return None
            record = replace(record, values={**record.values, **made})
        row: Row = dict(self._mapped.constants)
        column = ""
        try:
            for name, column, reader in self._mapped.sources:
                row[name] = (
                    self._ts(record.values.get(column), index) if name == "ts" else reader(record.values.get(column))
                )
            column = "ts"
            row["ts"] = self._dated(row.get("ts"), index)
        except (ValueError, OverflowError) as error:
            return Problem(record.line, column.removeprefix(PREPARED), str(error))
        self._finish(row)
        if self._table is REQUESTS:
            row["request_id"] = row.get("request_id") or self._request_id(record, index)
        else:
            problem = self._check_bucket(record, row)
            if problem:
                return problem
        cost_of(row)
        return tuple(row.get(name) for name in self.columns)

    def _ts(self, value: object, index: int) -> datetime | None:
        if self._clock is Clock.DATES:
            return time(value)
        seconds = number(value) if self._clock is Clock.SECONDS else float(index)
        return None if seconds is None or self._start is None else self._start + timedelta(seconds=seconds)

    def _dated(self, ts: object, index: int) -> datetime:
        if self._clock is Clock.NONE:
            ts = self._ts(None, index)
        if not isinstance(ts, datetime):
            raise BadValue("there is no time")
        return sane_time(ts, self._now)

    def _finish(self, row: Row) -> None:
        attrs = {name.removeprefix(ATTRIBUTE): row.pop(name) for name in list(row) if name.startswith(ATTRIBUTE)}
        if self._preset:
            self._preset.finish(row)
        own = row.get("attrs")
        attrs = {
            **(own if isinstance(own, dict) else {}),
            **{name: value for name, value in attrs.items() if value is not None},
        }
        row["attrs"] = attrs or None
        for name, default in self._table.defaults.items():
            if row.get(name) is None:
                row[name] = default
        if row.get("usage_source") is None:
            metered = row.get("input_tokens") is not None and row.get("output_tokens") is not None
            row["usage_source"] = "reported" if metered else "missing"

    def _request_id(self, record: Record, index: int) -> str:
        # The place in the file keeps two equal lines apart; the path is left out, so that a copy is the same file.
        digest = blake2b(self._identity, digest_size=16)
        digest.update(f"\n{index}\n{record.content}".encode("utf-8", "surrogatepass"))
        return f"{self._preset.name if self._preset else 'import'}-{digest.hexdigest()}"

    def _check_bucket(self, record: Record, row: Row) -> Problem | None:
        for name in ("width_s", "requests"):
            if row.get(name) is None:
                return Problem(record.line, name, "is empty")
        key = hash(tuple(row[name] for name in ("ts", "width_s", "source", "provider", "model", "team", "project")))
        if key in self._seen:
            reason = "is a second row for the same bucket; --column project=NAME can name what tells them apart"
            return Problem(record.line, "", reason)
        self._seen.add(key)
        return None


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    return {name: str(value) if isinstance(value, datetime | Decimal) else value for name, value in row.items()}
