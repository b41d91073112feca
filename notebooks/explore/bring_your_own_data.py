# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Bring your own data
#
# A CSV, ten lines, a forecast. Any file with a column of times and a column of numbers will do; a third one may name
# the series.

# %% tags=["parameters"]
file: str = ""  # path of a CSV; empty: one made on the spot
time: str = "ds"  # its column of times
value: str = "y"  # its column of values
series: str = ""  # its column of series; empty: it is one series
horizon: int = 48  # steps ahead (1 to 1000)

# %%
import polars as pl

from analytics import anomalies, forecast, quality, seasonality, show

hours = pl.int_range(24 * 28, eager=True)
made = (50 + 30 * (hours * 3.1416 / 12).sin() + hours % 7).to_frame("y")
made = made.select(ds=pl.datetime(2026, 1, 5, time_zone="UTC") + pl.duration(hours=hours), y="y")

frame = pl.read_csv(file, try_parse_dates=True) if file else made
names = {"time_col": time, "target_col": value} | ({"id_col": series} if series else {})

# %% [markdown]
# ## Is it sound?

# %%
show(lambda: quality.check(frame, **names))

# %% [markdown]
# ## What is to come

# %%
show(lambda: forecast(frame, horizon, **names))

# %% [markdown]
# ## Its rhythm, and what did not fit

# %%
show(lambda: seasonality(frame, **names), lambda: anomalies(frame, **names))

# %% [markdown]
# ## Further
#
# `forecast(frame, horizon, **names).to_pandas()` gives the rows with their intervals, `.paths()` the outcomes behind
# them, and `gaugebook forecast` does the same for a file of any size from the command line.
