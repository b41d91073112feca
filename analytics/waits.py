"""How long messages wait in queues, from depths and arrivals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analytics.frames import native, polars
from store.errors import ColumnMissing

if TYPE_CHECKING:
    from analytics.frames import Frame

NEEDED = ("bucket", "vhost", "queue", "avg_messages", "avg_published_per_s")


def ages(frame: Frame, most: int = 12) -> Frame:
    """How long a message waits in each queue, in seconds: a long frame of `unique_id` (vhost/queue), `ds`, `y`.

    By Little's law it is what is in a queue divided by what comes in; 0 for an empty queue, null where nothing comes in
    and something is there.

    Args:
        frame: wide rows as `load.queue_metrics` gives them.
        most: queues that are kept, those with the longest wait.

    Raises:
        ColumnMissing: a column is not there.

    Source:
        J. D. C. Little, *A proof for the queuing formula L = lambda W*, Operations Research 9, 1961.

    >>> rows = pl.DataFrame({"bucket": [1, 2], "vhost": "/", "queue": "q", "avg_messages": [50.0, 0.0],
    ...     "avg_published_per_s": [5.0, 0.0]})
    >>> ages(rows)["y"].to_list()
    [10.0, 0.0]
    """
    data, kind = polars(frame)
    for name in NEEDED:
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    sums = data.group_by(
        pl.concat_str("vhost", "queue", separator="/").alias("unique_id"), pl.col("bucket").alias("ds")
    )
    flows = sums.agg(pl.col("avg_messages").sum().alias("depth"), pl.col("avg_published_per_s").sum().alias("arriving"))
    wait = (
        pl.when(pl.col("depth") == 0).then(0.0).when(pl.col("arriving") > 0).then(pl.col("depth") / pl.col("arriving"))
    )
    long = flows.select("unique_id", "ds", wait.alias("y")).sort("unique_id", "ds")
    peaks = long.group_by("unique_id").agg(pl.col("y").max()).drop_nulls()
    longest = peaks.sort("y", "unique_id", descending=[True, False])["unique_id"].head(most)
    return native(long.filter(pl.col("unique_id").is_in(longest.implode())), kind)
