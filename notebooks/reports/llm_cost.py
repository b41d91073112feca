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
# # LLM cost
#
# What the LLM calls of a span cost, who spent it and on which model, what the coming days will probably add,
# and what did not look normal. Times are UTC; costs are those of the moment of each call and are never rewritten.

# %% tags=["parameters"]
from typing import Literal

days: int = 30  # days to cover (1 to 400)
horizon_days: int = 7  # days to forecast (1 to 90)
until: str = ""  # ISO time with a zone, the end of the report; empty: the latest data
source: Literal["llm_requests", "llm_usage"] = "llm_requests"  # single requests, or usage reported in buckets

# %%
from analytics import anomalies, charts, cost, forecast, load, quality, show

span = load.span(source, days=days, until=until)
read = load.reader(span)
rows = load.metrics(source=source, since=span.before(), until=span.until)
value, unit = cost.measure(rows)
show(span.sentence())


# %% [markdown]
# ## In short


# %%
def spend(by):
    return cost.breakdown(rows, by, since=span.since, until=span.until)


show(lambda: spend("team").sentence())

# %% [markdown]
# ## Who spends
#
# Each table compares with the span of equal length before, where the store reaches back that far.

# %%
show(lambda: (spend("team").plot(), spend("team").for_people()))

# %%
show(lambda: spend("project").for_people())

# %% [markdown]
# ## On which models
#
# The cost of a thousand requests counts only requests whose price is known.

# %%
show(lambda: (spend("model").plot(), spend("model").for_people()))

# %% [markdown]
# ## What moved it
#
# The change against the span before, split exactly between requests, the models they went to, length and price.

# %%
priced = unit == "USD"
show(lambda: cost.drivers(rows, "model", since=span.since, until=span.until).report() if priced else None)

# %% [markdown]
# ## Over time

# %%
by_model = read(value=value, by=("model",), since=span.before(), until=span.until)
recent = by_model.filter(by_model["ds"] >= span.since)
show(lambda: charts.lines(recent, unit=unit, title="By model", stacked=True))

# %% [markdown]
# ## What is to come
#
# The total and its interval come from errors of sums in backtests, not from adding up the interval of each step.
# The forecast reaches at most half as far ahead as the data reach back.

# %%
total = read(value=value, since=span.before(), until=span.until)
show(lambda: forecast(total, load.horizon(total, horizon_days), unit=unit).report(), unit=unit)

# %% [markdown]
# ## What did not look normal
#
# Each point is judged by those before it, at a false-alarm rate of one in a thousand.

# %%
show(lambda: anomalies(by_model, unit=unit).since(span.since).report(), unit=unit)

# %% [markdown]
# ## How fast
#
# Percentiles over the whole span; errors are not in them. Time to first token, whole duration, time per output token.

# %%
if source == "llm_requests":
    show(lambda: load.latency(by=("model",), grain="span", since=span.since, until=span.until).drop("ds"))
    hourly = load.latency(since=span.since, until=span.until)
    show(lambda: charts.latency(hourly, title="Time to first token, 95th percentile"))
else:
    show("Usage in buckets knows no single request, so there is no latency.")

# %% [markdown]
# ## How complete the data is

# %%
show(lambda: quality.check(rows.filter(rows["bucket"] >= span.since)))
