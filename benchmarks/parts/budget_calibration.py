"""How far a budget's probability can be trusted: origin by origin on real LLM traffic, beside simpler ways."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from analytics import budget, forecast
from benchmarks.parts.figures import Figure, save, show

DAY = 24
FIRST, STRIDE = 7 * DAY, 6  # hours of history that an outlook has at least, and between two origins
LIMITS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # of the mean day of the last week
INPUT_USD, OUTPUT_USD = 0.15e-6, 0.60e-6  # a token
BINS = 10


@dataclass(frozen=True)
class Judged:
    """What outlooks said of every client and origin, and what became of it.

    `said`, `linear` (at the pace so far) and `came` are (case, limit); `inside` counts how often an interval held the
    day's spend, by level, and `summed` how often intervals of single hours did, added up as if they were independent.
    """

    said: np.ndarray
    linear: np.ndarray
    came: np.ndarray
    whole: np.ndarray
    inside: dict[int, np.ndarray]
    summed: dict[int, np.ndarray]


def clients(folder: Path) -> pl.DataFrame:
    """Spend per client and hour, 0 where a client was silent, as a long frame."""
    rows = pl.read_csv(folder / "llm_usage/servegen_m_small_clients_10min.csv.gz").with_columns(
        pl.col("mean_input_tokens", "mean_output_tokens").cast(pl.Float64).fill_nan(None)
    )
    means = pl.col("mean_input_tokens", "mean_output_tokens")
    rows = rows.with_columns(means.fill_null(means.mean().over("client")).fill_null(means.mean()))
    each = pl.col("mean_input_tokens") * INPUT_USD + pl.col("mean_output_tokens") * OUTPUT_USD
    hourly = rows.group_by("client", (pl.col("t_s") // 3600).alias("ds")).agg(
        (pl.col("requests") * each).sum().alias("y")
    )
    whole = pl.DataFrame({"ds": range(int(hourly["ds"].max()) + 1)}, schema={"ds": pl.Int64})  # type: ignore[arg-type]
    grid = hourly.select("client").unique().join(whole, how="cross")
    made = grid.join(hourly, on=["client", "ds"], how="left").with_columns(pl.col("y").fill_null(0.0))
    return made.select(pl.col("client").cast(pl.String).alias("unique_id"), "ds", "y").sort("unique_id", "ds")


def judge(frame: pl.DataFrame, part: slice = slice(None)) -> Judged:
    """Make an outlook of every series' day at every sixth hour, from its history alone, and compare."""
    wide = frame.pivot("unique_id", index="ds", values="y").sort("ds")
    names = wide.columns[1:]
    values = wide.select(names).to_numpy().T
    found = [_at(origin, names, values) for origin in list(range(FIRST, values.shape[1] - DAY + 1, STRIDE))[part]]
    columns = [np.concatenate(each) for each in zip(*found, strict=True)]
    said, linear, came, whole = columns[:4]
    return Judged(said, linear, came, whole, dict(zip((80, 95), columns[4:6], strict=True)),
                  dict(zip((80, 95), columns[6:], strict=True)))  # fmt: skip


def _at(origin: int, names: list[str], values: np.ndarray) -> tuple[np.ndarray, ...]:
    """One origin: what is said of every series that spent something in the week before."""
    past = values[:, :origin]
    alive = past[:, -FIRST:].sum(axis=1) > 0
    kept, begun = [name for name, yes in zip(names, alive, strict=True) if yes], origin // DAY * DAY
    end = begun + DAY
    long = pl.DataFrame({"unique_id": np.repeat(kept, origin), "ds": np.tile(np.arange(origin), len(kept)),
                         "y": past[alive].ravel()})  # fmt: skip
    mean = past[alive, -FIRST:].sum(axis=1) / 7
    spent = values[alive, begun:origin].sum(axis=1)
    truth = values[alive, begun:end].sum(axis=1)
    made = budget.outlook(long, dict(zip(kept, mean, strict=True)), since=begun, until=end)
    order = [made.table["budget"].to_list().index(name) for name in kept]
    limits = mean[:, None] * LIMITS
    said = np.array([[made.probability(limit, name) for limit in row] for name, row in zip(kept, limits, strict=True)])
    elapsed = origin - begun
    pace = spent / elapsed * DAY if elapsed else mean
    linear = (pace[:, None] > limits).astype(float)
    bounds = [made.table[order, [f"total-lo-{level}", f"total-hi-{level}"]].to_numpy() for level in (80, 95)]
    inside = [(b[:, 0] <= truth) & (truth <= b[:, 1]) for b in bounds]
    ahead = forecast(long, end - origin)
    summed = [_summed(ahead.to_polars(), kept, level, truth - spent) for level in (80, 95)]
    whole = np.full(len(kept), elapsed == 0)
    return said, linear, truth[:, None] > limits, whole, *inside, *summed


def _summed(points: pl.DataFrame, names: list[str], level: int, truth: np.ndarray) -> np.ndarray:
    """Whether intervals of single hours, added up as if hours were independent, hold the sum."""
    half = (pl.col(f"y_hat-hi-{level}") - pl.col("y_hat")).fill_null(0.0)
    sums = points.group_by("unique_id").agg(pl.col("y_hat").sum(), (half**2).sum().sqrt().alias("half"))
    rows = pl.DataFrame({"unique_id": names}).join(sums, on="unique_id", how="left", maintain_order="left")
    return np.abs(truth - rows["y_hat"].to_numpy()) <= rows["half"].to_numpy()


def calibration_error(said: np.ndarray, came: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: |said - came| of each bin of probability, weighted by how much is in it.

    Source:
        M. P. Naeini, G. F. Cooper, M. Hauskrecht, *Obtaining well calibrated probabilities*, AAAI 2015.
    """
    said, came = said.ravel(), came.ravel().astype(float)
    bin_of = np.minimum((said * bins).astype(int), bins - 1)
    gaps = [abs(said[bin_of == b].sum() - came[bin_of == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(said))


def figures(folder: Path) -> Iterator[Figure]:
    """The figures of budgets; `folder` is that of the data, whose README names it."""
    judged = judge(clients(folder))
    cases = f"{len(judged.said):,} outlooks"
    unsure = (judged.said > 0.02) & (judged.said < 0.98)
    yield Figure(
        f"budget probability, expected calibration error ({cases} of a day, {len(LIMITS)} limits)", "",
        calibration_error(judged.said, judged.came), {"pace so far": calibration_error(judged.linear, judged.came)},
        None, calibration_error(judged.said, judged.came), 0.03, at_most=True,
    )  # fmt: skip
    yield Figure(
        f"the same where it is in doubt (2 to 98 %, {unsure.mean():.0%} of them)", "",
        calibration_error(judged.said[unsure], judged.came[unsure]), {}, None,
        calibration_error(judged.said[unsure], judged.came[unsure]), 0.06, at_most=True,
    )  # fmt: skip
    for level, slack in ((80, 3), (95, 2)):
        for what, rows in (("of a day", judged.whole), ("of what is left of it", np.ones_like(judged.whole))):
            ours, theirs = (float(100 * each[level][rows].mean()) for each in (judged.inside, judged.summed))
            yield Figure(
                f"coverage of {level} % sums {what}", "%", ours, {"hours added up": theirs}, None,
                abs(ours - level), slack, at_most=True,
            )  # fmt: skip


def main() -> None:
    """Print the table, and write it as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GAUGEBOOK_DATA", "../shared/data")))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    begun = time.process_time()
    found = list(figures(given.data))
    show(found)
    print(f"\n{time.process_time() - begun:.0f} CPU s")
    if given.json:
        save(found, given.json)


if __name__ == "__main__":
    main()
