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
LARGEST = 1e140
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
    ids, series = _numbered(data[id_col])
    raw, values = _raw_ticks(data[time_col]), _target(data[target_col]).to_numpy()
    if not _ordered(series, raw):
        order = np.lexsort((raw, series))
        series, raw, values = series[order], raw[order], values[order]
        data = data.select(time_col)[order]
    grid, ticks = _clock(data[time_col], series, raw)
    _refuse_duplicates(ids, series, ticks, grid, time_col)
    return _aligned(ids, series, ticks, values, grid, names, kind)


def polars(frame: Frame) -> tuple[pl.DataFrame, Kind]:
    """The frame as polars, and what kind it was.

    Raises:
        ParameterInvalid: it is neither a polars nor a pandas frame.
    """
    if isinstance(frame, pl.DataFrame):
        return frame, "polars"
    if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
        _refuse_mixed_zones(frame)
        try:
            return pl.from_pandas(frame), "pandas"
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0]
            raise ParameterInvalid("frame", f"a pandas column mixes types ({reason}); give each one type") from error
    raise ParameterInvalid("frame", f"expected a polars or pandas DataFrame, got {type(frame).__name__}")


def _refuse_mixed_zones(frame: pd.DataFrame) -> None:
    """Times with and without a zone in one column cannot be told apart once they are converted."""
    for name, kind in frame.dtypes.items():
        if str(kind) == "object":
            aware = {getattr(value, "tzinfo", None) is not None for value in frame[name] if hasattr(value, "tzinfo")}
            if len(aware) > 1:
                reason = (
                    "some times have a zone and some have none; give all one, e.g. with pandas.to_datetime(utc=True)"
                )
                raise ParameterInvalid(str(name), reason)


def native(frame: pl.DataFrame, kind: Kind) -> Frame:
    """A polars frame as the kind that the caller works with."""
    return frame if kind == "polars" else frame.to_pandas()


def _target(column: pl.Series) -> pl.Series:
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise ParameterInvalid(column.name, f"expected numbers, got {column.dtype}")
    values = column.cast(pl.Float64).fill_null(float("nan"))
    if values.is_infinite().any():
        raise ParameterInvalid(column.name, f"{values.is_infinite().sum()} values are infinite; drop or cap them")
    if (values.fill_nan(0.0).abs() > LARGEST).any():
        raise ParameterInvalid(
            column.name, f"values beyond {LARGEST:g} cannot be squared; divide them by a larger unit"
        )
    return values


def _numbered(column: pl.Series) -> tuple[pl.Series, Ints]:
    """The ids in order, and for each row the place of its id among them."""
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    ids = column.unique().sort()
    text = column.dtype == pl.String
    places = column.cast(pl.Enum(ids)).to_physical() if text else ids.search_sorted(column)
    return ids, np.asarray(pl.Series(places).to_numpy(), dtype=np.int64)


def _ordered(series: Ints, ticks: Ints) -> bool:
    later, same = series[1:] > series[:-1], series[1:] == series[:-1]
    return bool((later | (same & (ticks[1:] >= ticks[:-1]))).all())


def _raw_ticks(times: pl.Series) -> Ints:
    """Times as integers: themselves, or microseconds."""
    dtype = times.dtype
    if dtype.is_integer():
        return np.asarray(times.cast(pl.Int64).to_numpy())
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return np.asarray(times.cast(pl.Datetime("us", getattr(dtype, "time_zone", None))).to_physical().to_numpy())
    hint = "parse it first, e.g. with str.to_datetime() or pandas.to_datetime()" if dtype == pl.String else ""
    raise ParameterInvalid(times.name, f"expected datetimes, dates or integers, got {dtype}. {hint}".rstrip(". "))


def _clock(times: pl.Series, series: Ints, raw: Ints) -> tuple[Grid, Ints]:
    """The grid of ordered rows, and their ticks on it."""
    dtype, step = times.dtype, _step(series, raw)
    if not dtype.is_integer() and step >= 86_400_000_000:
        wall = times.cast(pl.Datetime("us", getattr(dtype, "time_zone", None)))
        if ((wall.dt.day() == 1) & (wall.dt.hour() == 0) & (wall.dt.minute() == 0)).all():
            months = (wall.dt.year().cast(pl.Int64) * 12 + wall.dt.month().cast(pl.Int64) - 1).to_numpy()
            return Grid(_step(series, months), "month", dtype), np.asarray(months)
    first, last = _edges(series)
    if int(((raw[last] - raw[first]) // step).sum()) > SPARSE * len(raw) + 10_000:
        reason = "rows are on no regular grid; resample them first, e.g. by group_by_dynamic() or DataFrame.resample()"
        raise ParameterInvalid(times.name, reason)
    return Grid(step, "int" if dtype.is_integer() else "us", dtype), raw


def _edges(series: Ints) -> tuple[Ints, Ints]:
    """First and last row of each series."""
    change = np.flatnonzero(series[1:] != series[:-1])
    return np.concatenate([[0], change + 1]), np.concatenate([change, [len(series) - 1]])


def ticks_on(grid: Grid, times: pl.Series) -> Ints:
    """Times of the caller's as ticks of a grid.

    Raises:
        ParameterInvalid: they are of another kind, or in another time zone, or null.
    """
    theirs, ours = (getattr(kind, "time_zone", None) for kind in (times.dtype, grid.dtype))
    whole = times.dtype.is_integer() == (grid.unit == "int")
    timed = grid.unit == "int" or times.dtype == pl.Date or isinstance(times.dtype, pl.Datetime)
    if not whole or not timed or (theirs is None) != (ours is None):
        raise ParameterInvalid(times.name, f"expected {grid.dtype} as in the series, got {times.dtype}")
    if times.null_count():
        raise ParameterInvalid(times.name, f"{times.null_count()} rows are null; drop or fill them")
    if grid.unit == "int":
        return np.asarray(times.cast(pl.Int64).to_numpy())
    wall = times.cast(pl.Datetime("us", theirs))
    if grid.unit == "month":
        return np.asarray((wall.dt.year().cast(pl.Int64) * 12 + wall.dt.month().cast(pl.Int64) - 1).to_numpy())
    return np.asarray(wall.to_physical().to_numpy())


def _step(series: Ints, ticks: Ints) -> int:
    gaps = np.diff(ticks)[(series[1:] == series[:-1])]
    gaps = gaps[gaps > 0]
    if not len(gaps):
        if len(series) == len(np.unique(series)):
            reason = "with one row a series, the time between two rows is unknown. Load a longer span"
            raise TooShort("the frame", reason)
        return 1
    least = int(gaps.min())
    odd = gaps[gaps % least != 0]
    return int(np.gcd.reduce(np.append(odd, least)))


def _refuse_duplicates(ids: pl.Series, series: Ints, ticks: Ints, grid: Grid, time_col: str) -> None:
    twice = np.flatnonzero((series[1:] == series[:-1]) & (ticks[1:] == ticks[:-1]))
    if len(twice):
        when = grid.times(ticks[twice[:1]])[0]
        where = f"series {ids[int(series[twice[0]])]!r} has more than one row at {when}"
        raise ParameterInvalid(time_col, f"{where}; add the rows up or drop the copies")


def _aligned(
    ids: pl.Series, series: Ints, ticks: Ints, measured: Floats, grid: Grid, names: Names, kind: Kind
) -> Panel:
    first, last = _edges(series)
    ends = ticks[last]
    width = int(((ends - ticks[first]) // grid.step).max()) + 1
    if len(series) == len(ids) * width:  # no point is missing
        values = measured.reshape(len(ids), width).copy()  # what came in may change afterwards
    else:
        values = np.full((len(ids), width), np.nan)
        values[series, width - 1 - (ends[series] - ticks) // grid.step] = measured
    empty = ~np.isfinite(values).any(axis=1)
    if empty.any():
        raise NoRows(f"series {ids[int(np.flatnonzero(empty)[0])]!r}: every value is missing; it")
    return Panel(ids, values, ends, grid, names, kind)


def _from_us(ticks: Ints, dtype: pl.DataType) -> pl.Series:
    zone = dtype.time_zone if isinstance(dtype, pl.Datetime) else None
    return pl.Series(ticks).cast(pl.Datetime("us", zone)).cast(dtype)
