"""The door for long frames: any polars or pandas frame of `unique_id, ds, y` in, a validated panel of series out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from store.errors import ColumnMissing, NoRows, ParameterInvalid, TooShort

if TYPE_CHECKING:
    import pandas as pd

    Frame = pl.DataFrame | pd.DataFrame

Kind = Literal["polars", "pandas"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ONLY = "series"  # name of the series of a frame that has no id column
SPARSE = 20  # a grid with more than so many points per row is no grid


@dataclass(frozen=True)
class Names:
    """How the caller calls the three columns."""

    id: str = "unique_id"
    time: str = "ds"
    target: str = "y"


@dataclass(frozen=True)
class Grid:
    """The clock of a frame: `step` in microseconds, whole months or plain integers, as `unit` says."""

    step: int
    unit: Literal["us", "month", "int"]
    dtype: pl.DataType

    def times(self, ticks: Ints) -> pl.Series:
        """Ticks as a column of the caller's type."""
        if self.unit == "month":
            months = pl.DataFrame({"year": ticks // 12, "month": ticks % 12 + 1})
            naive = months.select(pl.datetime("year", "month", 1)).to_series()
            zone = self.dtype.time_zone if isinstance(self.dtype, pl.Datetime) else None
            return (naive.dt.replace_time_zone(zone) if zone else naive).cast(self.dtype)
        return pl.Series(ticks).cast(self.dtype) if self.unit == "int" else _from_us(ticks, self.dtype)

    @property
    def step_s(self) -> float | None:
        """Seconds between two points; a month counts 30.4 days; None for integers."""
        return {"us": self.step / 1e6, "month": self.step * 2_629_800.0, "int": None}[self.unit]


@dataclass(frozen=True)
class Panel:
    """Series on one grid, aligned at their last point.

    `values` is (series, time), NaN where a point is missing or before a series began; `ends` is the tick of each
    series' last point.
    """

    ids: pl.Series
    values: Floats
    ends: Ints
    grid: Grid
    names: Names
    kind: Kind

    def ticks(self, offsets: Ints) -> Ints:
        """Ticks (series, offsets) at `offsets` steps after each series' last point."""
        return np.asarray(self.ends[:, None] + offsets[None, :] * self.grid.step)

    def long(self, columns: Mapping[str, NDArray[Any]], offsets: Ints) -> pl.DataFrame:
        """A long frame of `unique_id, ds` and `columns`, each (series, offsets)."""
        width = len(offsets)
        head = {
            self.names.id: self.ids.gather(np.repeat(np.arange(len(self.ids)), width)),
            self.names.time: self.grid.times(self.ticks(offsets).ravel()),
        }
        return pl.DataFrame({**head, **{name: values.ravel() for name, values in columns.items()}})

    def history(self) -> pl.DataFrame:
        """The panel as a long frame: gaps are rows with a null target, points before the start are left out."""
        width = self.values.shape[1]
        frame = self.long({self.names.target: self.values}, np.arange(1 - width, 1, dtype=np.int64))
        begun = np.cumsum(np.isfinite(self.values), axis=1) > 0
        return frame.filter(pl.Series(begun.ravel())).with_columns(pl.col(self.names.target).fill_nan(None))


def panel(frame: Frame, *, id_col: str = "unique_id", time_col: str = "ds", target_col: str = "y") -> Panel:
    """Check a long frame and lay its series on one grid.

    Args:
        frame: one row per series and time, in any order; `time_col` datetimes (any zone or none), dates or integers;
            a null or NaN target is a missing value; rows that the grid lacks are gaps; without `id_col` one series.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Raises:
        NoRows: nothing in it, or a series without any value.
        ColumnMissing: a column is not there; names the closest match.
        TooShort: one row a series, so that the time between rows is not known.
        ParameterInvalid: null times, duplicates, infinite values, text where numbers or times belong, no grid.

    >>> made = panel(pl.DataFrame({"ds": [1, 2, 4], "y": [1.0, 2.0, 4.0]}))
    >>> made.values.tolist(), made.grid.step
    ([[1.0, 2.0, nan, 4.0]], 1)
    """
    names = Names(id_col, time_col, target_col)
    data, kind = polars(frame)
    for name in (time_col, target_col):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if id_col not in data.columns:
        others = [name for name in data.columns if name not in (time_col, target_col)]
        if id_col != "unique_id" or get_close_matches(id_col, others, n=1):
            raise ColumnMissing(id_col, data.columns)
        data = data.with_columns(pl.lit(ONLY).alias(id_col))
    if data.is_empty():
        raise NoRows("the frame")
    data = data.select(id_col, time_col, target_col)
    for name in (id_col, time_col):
        if data[name].null_count():
            raise ParameterInvalid(name, f"{data[name].null_count()} rows are null; drop or fill them")
    data = data.with_columns(_target(data[target_col]))
    grid, ticks = _clock(data[time_col], data[id_col])
    data = data.with_columns(ticks.alias(time_col)).sort(id_col, time_col)
    _refuse_duplicates(data, names, grid)
    return _aligned(data, grid, names, kind)


def polars(frame: Frame) -> tuple[pl.DataFrame, Kind]:
    """The frame as polars, and what kind it was.

    Raises:
        ParameterInvalid: it is neither a polars nor a pandas frame.
    """
    if isinstance(frame, pl.DataFrame):
        return frame, "polars"
    if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
        try:
            return pl.from_pandas(frame), "pandas"
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0]
            raise ParameterInvalid("frame", f"a pandas column mixes types ({reason}); give each one type") from error
    raise ParameterInvalid("frame", f"expected a polars or pandas DataFrame, got {type(frame).__name__}")


def native(frame: pl.DataFrame, kind: Kind) -> Frame:
    """A polars frame as the kind that the caller works with."""
    return frame if kind == "polars" else frame.to_pandas()


def _target(column: pl.Series) -> pl.Series:
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise ParameterInvalid(column.name, f"expected numbers, got {column.dtype}")
    values = column.cast(pl.Float64).fill_null(float("nan"))
    if values.is_infinite().any():
        raise ParameterInvalid(column.name, f"{values.is_infinite().sum()} values are infinite; drop or cap them")
    return values


def _clock(times: pl.Series, ids: pl.Series) -> tuple[Grid, pl.Series]:
    dtype = times.dtype
    if dtype.is_integer():
        ticks, unit = times.cast(pl.Int64), "int"
    elif dtype == pl.Date or isinstance(dtype, pl.Datetime):
        ticks, unit = times.cast(pl.Datetime("us", getattr(dtype, "time_zone", None))).to_physical(), "us"
    else:
        hint = "parse it first, e.g. with str.to_datetime() or pandas.to_datetime()" if dtype == pl.String else ""
        raise ParameterInvalid(times.name, f"expected datetimes, dates or integers, got {dtype}. {hint}".rstrip(". "))
    step = _step(ticks, ids)
    if unit == "us":
        wall = times.cast(pl.Datetime("us", getattr(dtype, "time_zone", None)))
        firsts = ((wall.dt.day() == 1) & (wall.dt.hour() == 0) & (wall.dt.minute() == 0)).all()
        if firsts and step >= 86_400_000_000:
            ticks = wall.dt.year().cast(pl.Int64) * 12 + wall.dt.month().cast(pl.Int64) - 1
            return Grid(_step(ticks, ids), "month", dtype), ticks
    grid = Grid(step, "int" if unit == "int" else "us", dtype)
    points = pl.DataFrame({"id": ids, "t": ticks}).group_by("id").agg((pl.col("t").max() - pl.col("t").min()) // step)
    if points["t"].sum() > SPARSE * len(ticks) + 10_000:
        reason = "rows are on no regular grid; resample them first, e.g. by group_by_dynamic() or DataFrame.resample()"
        raise ParameterInvalid(times.name, reason)
    return grid, ticks


def _step(ticks: pl.Series, ids: pl.Series) -> int:
    gaps = (
        pl.DataFrame({"id": ids, "t": ticks})
        .sort("id", "t")
        .select(pl.col("t").diff().over("id"))
        .to_series()
        .drop_nulls()
        .unique()
    )
    found = int(np.gcd.reduce(gaps.filter(gaps > 0).to_numpy())) if (gaps > 0).any() else 0
    if found == 0 and ids.n_unique() == len(ids):
        raise TooShort("the frame", "with one row a series, the time between two rows is unknown. Load a longer span")
    return found or 1


def _refuse_duplicates(data: pl.DataFrame, names: Names, grid: Grid) -> None:
    twice = data.filter(data.select(names.id, names.time).is_duplicated())
    if not twice.is_empty():
        when = grid.times(twice[names.time].head(1).to_numpy())[0]
        where = f"series {twice[names.id][0]!r} has more than one row at {when}"
        raise ParameterInvalid(names.time, f"{where}; add the rows up or drop the copies")


def _aligned(data: pl.DataFrame, grid: Grid, names: Names, kind: Kind) -> Panel:
    spans = data.group_by(names.id, maintain_order=True).agg(
        pl.col(names.time).max().alias("end"),
        ((pl.col(names.time).max() - pl.col(names.time).min()) // grid.step + 1).alias("points"),
        pl.col(names.target).is_finite().any().alias("any"),
        pl.len().alias("rows"),
    )
    if not spans["any"].all():
        raise NoRows(f"series {spans.filter(~pl.col('any'))[names.id][0]!r}: every value is missing; it")
    ends = spans["end"].to_numpy().astype(np.int64)
    width = int(spans["points"].cast(pl.Int64).max())  # type: ignore[arg-type]  # never null: there are rows
    row = np.repeat(np.arange(len(spans)), spans["rows"].to_numpy())
    column = width - 1 - (ends[row] - data[names.time].to_numpy()) // grid.step
    values = np.full((len(spans), width), np.nan)
    values[row, column] = data[names.target].to_numpy()
    return Panel(spans[names.id], values, ends, grid, names, kind)


def _from_us(ticks: Ints, dtype: pl.DataType) -> pl.Series:
    zone = dtype.time_zone if isinstance(dtype, pl.Datetime) else None
    return pl.Series(ticks).cast(pl.Datetime("us", zone)).cast(dtype)
