"""Reconciling 100,000 leaves without a negative one: ours and hierarchicalforecast's, each in a process of its own.

`scale_tree.py WAY LEAVES STEPS` prints JSON: seconds from frame to frame, CPU seconds, memory of the process in MiB,
the distance that was minimised, and the least value.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[2])

import numpy as np
import polars as pl

from benchmarks.parts.figures import Figure

BY = ("team", "project", "model")
MOST_S, MOST_MIB = 20.0, 1536.0


def measure(*, leaves: int, steps: int) -> list[Figure]:
    """The figures: seconds and memory beside the package's, and how near each came."""
    found = {way: _run(way, leaves, steps) for way in ("ours", "theirs")}
    ours, theirs = found["ours"], found["theirs"]
    name = f"{ours['leaves']:,} leaves x {steps} steps, non-negative"
    peer = "hierarchicalforecast"
    excess = ours["distance"] / theirs["distance"] - 1
    return [
        Figure(name, "s", ours["s"], {peer: theirs["s"]}, None, ours["s"], MOST_S, at_most=True),
        Figure(
            "memory of the process",
            "MiB",
            ours["mib"],
            {peer: theirs["mib"]},
            None,
            ours["mib"],
            MOST_MIB,
            at_most=True,
        ),
        Figure("distance over theirs", "share", excess, {}, None, excess, 1e-6, at_most=True),
        Figure("least value", "", ours["least"], {peer: theirs["least"]}, None, ours["least"], 0.0),
        Figure(
            "parents against children",
            "share",
            ours["apart"],
            {peer: theirs["apart"]},
            None,
            ours["apart"],
            1e-9,
            at_most=True,
        ),
    ]


def frame(leaves: int, steps: int) -> pl.DataFrame:
    """Forecasts of all nodes that do not add up; a third of the leaves are near zero, as models nobody uses are."""
    random = np.random.default_rng(0)
    teams = max(1, leaves // 1000)
    owner = np.sort(random.integers(0, teams, leaves))
    project = np.sort(random.integers(0, max(1, leaves // 30), leaves))
    paths = pl.DataFrame(
        {
            "team": pl.Series(owner).cast(pl.String),
            "project": pl.Series(project).cast(pl.String),
            "model": pl.Series(np.arange(leaves)).cast(pl.String),
        }
    )
    size = random.lognormal(0, 2, leaves) * (random.random(leaves) > 1 / 3)
    parts = []
    for depth in range(4):
        dims = list(BY[:depth])
        sums = (
            paths.with_columns(size=pl.Series(size)).group_by(dims, maintain_order=True).agg(pl.col("size").sum())
            if dims
            else pl.DataFrame({"size": [size.sum()]})
        )
        missing = [pl.lit(None, pl.String).alias(name) for name in BY[depth:]]
        parts.append(sums.with_columns(missing).select(*BY, "size"))
    nodes = pl.concat(parts)
    level = nodes["size"].to_numpy()[:, None]
    made = level * (1 + random.normal(0, 0.2, (len(nodes), steps))) + random.normal(0, 0.3, (len(nodes), steps))
    made = np.maximum(made, 0.0)
    times = pl.Series(np.tile(np.arange(steps), len(nodes)))
    return nodes.select(pl.col(BY).repeat_by(steps).explode()).with_columns(ds=times, y_hat=pl.Series(made.ravel()))


def ours(rows: pl.DataFrame) -> pl.DataFrame:
    """By `analytics.hierarchy.coherent`."""
    from analytics.hierarchy import coherent

    made = coherent(rows, by=BY)
    assert isinstance(made, pl.DataFrame)
    return made


def theirs(rows: pl.DataFrame) -> pl.DataFrame:
    """By MinTraceSparse, as its documentation does it: nodes named, S sparse, no value negative."""
    from hierarchicalforecast.core import HierarchicalReconciliation
    from hierarchicalforecast.methods import MinTraceSparse

    named = rows.with_columns(pl.concat_str(pl.lit("total"), *BY, separator="/", ignore_nulls=True).alias("unique_id"))
    nodes = named.group_by(*BY, maintain_order=True).agg(pl.col("unique_id").first())
    depth = pl.sum_horizontal(pl.col(BY).is_not_null().cast(pl.Int32))
    nodes = nodes.with_columns(depth.alias("depth")).sort("depth", maintain_order=True)
    tags = {
        ("total", *BY)[k]: part["unique_id"].to_numpy() for (k,), part in nodes.group_by("depth", maintain_order=True)
    }
    from scipy import sparse

    leaf = nodes.filter(pl.col("depth") == len(BY)).with_row_index("column")
    rows_at, columns_at = [], []
    place = nodes.with_row_index("row")
    for k in range(len(BY) + 1):
        level = place.filter(pl.col("depth") == k)
        joined = leaf.join(level, on=list(BY[:k]), how="left") if k else leaf.with_columns(row=pl.lit(0, pl.UInt32))
        rows_at.append(joined["row"].to_numpy())
        columns_at.append(joined["column"].to_numpy())
    at = (np.concatenate(rows_at), np.concatenate(columns_at))
    summing = sparse.csr_matrix((np.ones(len(at[0])), at), shape=(len(nodes), len(leaf)))
    import pandas as pd

    table = pd.DataFrame.sparse.from_spmatrix(summing, columns=leaf["unique_id"].to_numpy())
    table.insert(0, "unique_id", nodes["unique_id"].to_numpy())
    solver = HierarchicalReconciliation([MinTraceSparse("wls_struct", nonnegative=True)])
    made = solver.reconcile(Y_hat_df=named.select("unique_id", "ds", "y_hat").to_pandas(), S_df=table, tags=tags)
    column = next(name for name in made.columns if name.startswith("y_hat/"))
    back = pl.from_pandas(made[["unique_id", "ds", column]]).rename({column: "made"})
    return named.join(back, on=["unique_id", "ds"], how="left", maintain_order="left").with_columns(
        y_hat=pl.col("made")
    )


def main() -> None:
    """Reconcile in this process and print what it took."""
    way, leaves, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rows = frame(leaves, steps)
    begun, spent = time.perf_counter(), time.process_time()
    made = {"ours": ours, "theirs": theirs}[way](rows)
    told = {"s": time.perf_counter() - begun, "cpu_s": time.process_time() - spent}
    told["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**told, **_quality(rows, made)}))


def _quality(rows: pl.DataFrame, made: pl.DataFrame) -> dict[str, Any]:
    from analytics.tree import tree

    grown = tree(rows.drop_nulls(BY).select(BY))
    nodes = grown.paths.with_row_index("node")
    order = rows.select(*BY, "ds").join(nodes, on=list(BY), nulls_equal=True, how="left", maintain_order="left")
    shape = (len(nodes), int(rows["ds"].max()) + 1)
    before, after = np.empty(shape), np.empty(shape)
    place = (order["node"].to_numpy(), order["ds"].to_numpy())
    before[place], after[place] = rows["y_hat"].to_numpy(), made["y_hat"].to_numpy()
    weight = grown.sums(np.ones(grown.sizes[-1]))[:, None]
    distance = float(((after - before) ** 2 / weight).sum())
    return {
        "leaves": grown.sizes[-1],
        "distance": distance,
        "least": float(after.min()),
        "apart": grown.incoherence(after),
    }


def _run(way: str, leaves: int, steps: int) -> dict[str, Any]:
    words = [sys.executable, __file__, way, str(leaves), str(steps)]
    ended = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    print(f"{way}: {told}", file=sys.stderr)
    return told


if __name__ == "__main__":
    main()
