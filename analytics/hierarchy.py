"""Forecasts that add up: total > team > project > model, cluster > vhost > queue, or any tree of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import polars as pl

from analytics import words
from analytics.engines import Draft
from analytics.explained import Explained, Grounds
from analytics.forecasting import Forecast, forecast
from analytics.frames import Floats, Ints, Panel, native, panel, polars
from analytics.reconcilers import by_variance, positive, solve
from analytics.seasons import known
from analytics.tree import Tree, tree
from store.errors import ColumnMissing, NoRows, ParameterInvalid, UnknownName

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

Method = Literal["auto", "mint_shrink", "wls", "structural", "bottom_up"]
DENSE = 5_000  # leaves above which the covariance of all pairs is no longer looked at
COHERENT = 1e-9  # parents and sums of children may differ by so much of the parent


@dataclass(frozen=True, repr=False)
class Reconciled(Explained):
    """Coherent forecasts of every node of a tree.

    `forecast` has them as any forecast does (frames, totals, paths, chart), `base` is what was forecast node by node,
    `method` what reconciled them, and `note` says so in words, with what failed on the way.
    """

    forecast: Forecast
    base: Forecast
    tree: Tree
    method: str
    note: str

    def to_polars(self) -> pl.DataFrame:
        """The dimensions (null where added up over), `unique_id, ds, y_hat, y_hat-lo-80, ...`, from the top down."""
        rows = self.forecast.to_polars()
        return pl.concat([self._paths(self.forecast.horizon), rows], how="horizontal")

    def to_pandas(self) -> pd.DataFrame:
        """The same as pandas."""
        return self.to_polars().to_pandas()

    def totals(self, level: float | Sequence[float] | None = None) -> pl.DataFrame:
        """The dimensions and the sum over the horizon with its interval, one row a node."""
        return pl.concat([self._paths(1), self.forecast.totals(level)], how="horizontal")

    def level(self, name: str = "") -> Frame:
        """The rows of the nodes of one dimension, those of the total without a name; of the kind that came in.

        Raises:
            UnknownName: it is none of the dimensions.
        """
        if name and name not in self.tree.by:
            raise UnknownName("dimension", name, self.tree.by)
        depth = self.tree.by.index(name) + 1 if name else 0
        part = self.tree.level(depth)
        steps = self.forecast.horizon
        return native(
            self.to_polars().slice(part.start * steps, (part.stop - part.start) * steps), self.base.panel.kind
        )

    def moved(self) -> pl.DataFrame:
        """How far reconciling moved the forecasts: `level`, `nodes`, and the absolute change as a share of the sum."""
        before, after = _points(self.base), _points(self.forecast)
        rows = []
        for depth, name in enumerate(("total", *self.tree.by)):
            part = self.tree.level(depth)
            whole = float(np.abs(before[part]).sum())
            apart = float(np.abs(after[part] - before[part]).sum())
            rows.append((name, self.tree.sizes[depth], apart / whole if whole else None))
        return pl.DataFrame(rows, schema=["level", "nodes", "moved"], orient="row")

    def how(self) -> str:
        """How the forecasts were reconciled, and how the nodes were forecast."""
        return f"{self.note}\n{self.base.how()}"

    @property
    def measured_in(self) -> str:
        """Unit of the values."""
        return self.forecast.unit

    def grounds(self) -> Grounds:
        """The past of all nodes, what their intervals were worth, and which number to quote."""
        past = self.forecast.grounds()
        top = self.moved().row(0, named=True)
        apart = "" if top["moved"] is None else f" Reconciling moved the total by {words.share(top['moved'])}."
        return Grounds(
            past.data, f"{past.sure}{apart}", "Quote any level of it: parts and wholes say the same to the last cent."
        )

    def picture(self) -> str:
        """The fan of the largest node, the total."""
        from analytics.svg import fan

        return fan(self.forecast)

    def for_people(self) -> pl.DataFrame:
        """Totals over the horizon, from the top down."""
        return self.totals()

    def sentence(self) -> str:
        """The total in one sentence, and over what it adds up."""
        top = self.forecast.totals(self.forecast.level[0]).row(0)[1:]
        steps = f"{self.forecast.horizon} {words.plural(self.forecast.step, self.forecast.horizon)}"
        said = words.interval(*top, level=self.forecast.level[0], unit=self.forecast.unit)
        over = " > ".join(f"{size:,} {name}" for size, name in zip(self.tree.sizes[1:], self.tree.by, strict=True))
        return f"Over the next {steps} the total is {said}; it is the sum of {over}."

    def plot(self, *, most: int = 6) -> Figure:
        """The fans of the `most` largest nodes, the total first."""
        return self.forecast.plot(most=most)

    def report(self) -> tuple[str, Figure, pl.DataFrame, str]:
        """What a report shows: a sentence, the chart, the totals, how it was made."""
        return self.sentence(), self.plot(), self.totals(), self.how()

    def _paths(self, times: int) -> pl.DataFrame:
        return (
            self.tree.paths.select(pl.all().repeat_by(times).explode(empty_as_null=True))
            if times > 1
            else self.tree.paths
        )


def reconcile(
    frame: Frame,
    horizon: int,
    level: float | Sequence[float] = (80, 95),
    *,
    by: Sequence[str],
    method: Method = "auto",
    season_length: int | Sequence[int] | None = None,
    engine: str = "ensemble",
    unit: str = "",
    time_col: str = "ds",
    target_col: str = "y",
) -> Reconciled:
    """Forecast every node of a tree of dimensions, and make the forecasts add up.

    Every node is forecast on its own history. MinT-shrink then weighs all nodes by the covariance of their errors at
    the rolling origins; above 5,000 leaves their variances alone count, on the tree. Intervals come from the errors
    that the reconciled forecasts would have made at those origins. What was never negative stays so.

    Args:
        frame: long frame, polars or pandas: time, value and the columns of `by`, as `load.llm(by=...)` gives them; rows
            of one leaf and time are added up. A leaf that has no row before its first or after its last has 0 there;
            a gap in between is filled by a straight line for the sums above it.
        horizon: steps ahead.
        level: intervals in per cent.
        by: the dimensions from the top down, such as ("team", "project", "model").
        method: "mint_shrink", "wls" (variances of the errors), "structural" (numbers of leaves), "bottom_up", or
            "auto": MinT-shrink up to 5,000 leaves, else wls.
        season_length: as `forecast` takes it.
        engine: as `forecast` takes it.
        unit: as `forecast` takes it.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Returns:
        A Reconciled; parents and sums of children differ by less than 1e-9 of the parent. Where a solver failed,
        `method` is "bottom_up" and `note` says why.

    Raises:
        ColumnMissing, NoRows, TooShort, ParameterInvalid, UnknownName: as `forecast`; no dimension was named.

    >>> rows = [(t, m, k, 1.0 + k % 7) for t, m in (("a", "x"), ("a", "y"), ("b", "x")) for k in range(56)]
    >>> days = pl.DataFrame(rows, schema=["team", "model", "ds", "y"], orient="row")
    >>> made = reconcile(days, 2, by=("team", "model"), season_length=7)
    >>> made.level()["y_hat"].round(3).to_list(), made.tree.sizes
    ([3.0, 6.0], (1, 2, 3))
    """
    if method not in get_args(Method):
        raise UnknownName("method", method, get_args(Method))
    made, leaves, clock = _grown(frame, by, time_col, target_col)
    rows = _long(made, leaves, clock)
    base = forecast(rows, horizon, level, season_length=season_length, engine=engine, unit=unit)
    asked = method if method != "auto" else "mint_shrink" if made.sizes[-1] <= DENSE else "wls"
    errors = _errors(base)
    floor = bool(np.nanmin(leaves) >= 0)
    found = solve(made, _points(base), errors, asked, floor=floor)
    _assert_coherent(made, found.points)
    projected = found.errors(errors)
    names = made.names().alias("unique_id")
    source = _source(base.panel, names, clock)
    parts = tuple(_part(part, found.points, projected) for part in base.parts)
    return Reconciled(
        replace(base, panel=source, parts=parts), replace(base, panel=source), made, found.method, found.note
    )


def coherent(
    frame: Frame,
    *,
    by: Sequence[str],
    value_col: str = "y_hat",
    time_col: str = "ds",
    variance_col: str | None = None,
) -> Frame:
    """Make forecasts of all nodes add up that were made elsewhere, 100,000 leaves in seconds.

    Args:
        frame: one row per node and time, polars or pandas: the columns of `by`, null where a node adds up over them,
            the time and the value. Columns of intervals (`y_hat-lo-80`, ...) move along with it.
        by: the dimensions from the top down.
        value_col: name of the column of forecasts.
        time_col: name of the column of times.
        variance_col: column of the variance of each node's errors (its mean over time counts). Default: the number of
            leaves below a node.

    Returns:
        The frame with its values changed, in the order it had, of its kind. Where no leaf is negative none will be.

    Raises:
        ColumnMissing: a column is not there.
        ParameterInvalid: a node has no row, or more than one, at some time; a value is missing; a leaf's parent is not
            there.

    >>> made = coherent(pl.DataFrame({"team": [None, "a", "b"], "ds": 1, "y_hat": [12.0, 5.0, 5.0]}), by=["team"])
    >>> made["y_hat"].round(6).to_list()
    [11.0, 5.5, 5.5]
    """
    rows, kind = polars(frame)
    dims = _dimensions(by, rows, (time_col, value_col, *([variance_col] if variance_col else [])))
    named = rows.select(pl.col(dims).cast(pl.String)).with_row_index("row")
    made = tree(named.drop_nulls(dims).select(dims))
    nodes = made.paths.with_row_index("node")
    placed = named.join(nodes, on=dims, how="left", nulls_equal=True, maintain_order="left")
    if placed["node"].null_count():
        lost = placed.filter(pl.col("node").is_null()).select(dims).row(0)
        raise ParameterInvalid("by", f"the row of {lost} is no node above a leaf; null stands where it adds up")
    times = rows[time_col].rank("dense").cast(pl.Int64).to_numpy() - 1
    shape = (len(nodes), int(times.max(initial=-1)) + 1)
    node = placed["node"].to_numpy()
    if len(rows) != shape[0] * shape[1] or len(np.unique(node * shape[1] + times)) != len(rows):
        raise ParameterInvalid(time_col, f"expected one row for each of {shape[0]:,} nodes and {shape[1]:,} times")
    base = np.empty(shape)
    base[node, times] = rows[value_col].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if not np.isfinite(base).all():
        raise ParameterInvalid(value_col, "a forecast is missing or infinite; every node needs one at every time")
    variance = made.sums(np.ones(made.sizes[-1]))
    if variance_col:
        each = np.empty(shape)
        each[node, times] = rows[variance_col].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        variance = positive(each.mean(axis=1), base)
    least = 0.0 if base[made.leaves].min() >= 0 else -np.inf
    found = by_variance(made, base, variance, floor=least == 0.0, method="wls")
    _assert_coherent(made, found.points)
    values = pl.Series(value_col, found.points[node, times])
    bounds = [name for name in rows.columns if name.startswith((f"{value_col}-lo-", f"{value_col}-hi-"))]
    along = [(pl.col(name) - pl.col(value_col) + values).clip(lower_bound=least) for name in bounds]
    return native(rows.with_columns(values, *along), kind)


def _assert_coherent(made: Tree, points: Floats) -> None:
    worst = made.incoherence(points)
    assert worst <= COHERENT, f"parents and sums of their children differ by {worst:g}"


def _dimensions(by: Sequence[str], rows: pl.DataFrame, others: Sequence[str]) -> list[str]:
    dims = [by] if isinstance(by, str) else list(by)
    if not dims or len(set(dims)) < len(dims):
        raise ParameterInvalid("by", f"expected dimensions from the top down, each once, got {by!r}")
    for name in (*dims, *others):
        if name not in rows.columns:
            raise ColumnMissing(name, rows.columns)
    if rows.is_empty():
        raise NoRows("the frame")
    return dims


def _grown(frame: Frame, by: Sequence[str], time_col: str, target_col: str) -> tuple[Tree, Floats, Panel]:
    """The tree, the histories of its leaves on one clock (leaves, time), and a panel that has that clock."""
    rows, kind = polars(frame)
    dims = _dimensions(by, rows, (time_col, target_col))
    if not (rows[target_col].dtype.is_numeric() or rows[target_col].dtype in (pl.Boolean, pl.Null)):
        raise ParameterInvalid(target_col, f"expected numbers, got {rows[target_col].dtype}")
    values = rows.select(pl.col(dims).cast(pl.String).fill_null("none"), time_col, target_col)
    made = tree(values.select(dims))
    nodes = made.paths[made.leaves].with_row_index("unique_id")
    placed = values.join(nodes, on=dims, how="left").group_by("unique_id", time_col)
    y = pl.col(target_col)
    summed = placed.agg(pl.when(y.is_null().any()).then(None).otherwise(y.sum()).alias(target_col))
    data = panel(summed, time_col=time_col, target_col=target_col)
    last = data.ends.max()
    late = (last - data.ends) // data.grid.step
    width = data.values.shape[1]
    begun = np.isfinite(data.values).argmax(axis=1)
    wide = int((width - begun + late).max())
    leaves = np.zeros((len(data.ids), wide))
    for row, series, first, behind in zip(leaves, data.values, begun, late, strict=True):
        stop = wide - behind
        row[stop - (width - first) : stop] = known(series)
    ends = np.full(len(made.paths), last, dtype=np.int64)
    clock = replace(
        data, ids=pl.Series("unique_id", range(len(ends))), ends=ends, values=np.zeros((0, wide)), kind=kind
    )
    return made, leaves, clock


def _long(made: Tree, leaves: Floats, clock: Panel) -> pl.DataFrame:
    """The histories of all nodes as a long frame of whole-number ids, in the order of the tree."""
    values = made.sums(leaves)
    width = values.shape[1]
    rows = replace(clock, values=values).long({"y": values}, np.arange(1 - width, 1, dtype=np.int64))
    return rows.rename({clock.names.id: "unique_id", clock.names.time: "ds"})


def _source(found: Panel, names: pl.Series, clock: Panel) -> Panel:
    """The panel of the nodes under their names, with the caller's names of columns and kind of frame."""
    told = replace(clock.names, id="unique_id")
    return replace(found, ids=names, names=told, kind=clock.kind)


def _points(made: Forecast) -> Floats:
    ahead = made.to_polars()["y_hat"].to_numpy()
    return ahead.reshape(-1, made.horizon)


def _errors(base: Forecast) -> Floats:
    """Errors (node, origin, step) of all nodes, NaN where none are known.

    Nodes that were forecast alike have their origins in common, and there errors of one time stand side by side. The
    origins of others are matched by their order; who has fewer repeats them, lest his errors count as none. Of
    simulated errors as many are taken.
    """
    known = [draft.rolling for _, draft in base.parts if draft.rolling is not None]
    counts = [one.errors.shape[1] for one in known if one.errors.shape[1] == len(one.offsets)]
    slots = max(counts or [one.errors.shape[1] for one in known], default=0)
    out = np.full((len(base.panel.ids), slots, base.horizon), np.nan)
    for rows, draft in base.parts:
        if draft.rolling is not None and draft.rolling.errors.size:
            own = draft.rolling.errors
            origins = np.arange(slots) % own.shape[1]
            steps = np.minimum(np.arange(base.horizon), own.shape[2] - 1)
            out[rows] = own[:, origins][:, :, steps]
    return out


def _part(part: tuple[Ints, Draft], points: Floats, errors: Floats) -> tuple[Ints, Draft]:
    rows, draft = part
    rolling = draft.rolling
    if rolling is not None and rolling.errors.size and rolling.errors.shape[1] <= errors.shape[1]:
        after = errors[rows][:, : rolling.errors.shape[1], : rolling.errors.shape[2]]
        made = None if rolling.made is None else rolling.made + rolling.errors - after
        rolling = replace(rolling, errors=after, made=made)
    return rows, replace(draft, point=points[rows], rolling=rolling)
