"""What every result can do: draw itself, and be a frame of either kind."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import polars as pl


def check_chart(made: Any) -> None:
    """It draws a chart, with a text for those who do not see it."""
    figure = made.plot()
    assert isinstance(figure, go.Figure)
    assert len(figure.data) >= 1
    assert figure.layout.meta["alt"]
    assert "<script>" not in figure.to_json()


def check_frames(made: Any) -> None:
    """It is a frame of either kind."""
    left, right = made.to_polars(), made.to_pandas()
    assert isinstance(left, pl.DataFrame)
    assert isinstance(right, pd.DataFrame)
    assert list(right.columns) == left.columns
    assert len(right) == len(left) >= 1
