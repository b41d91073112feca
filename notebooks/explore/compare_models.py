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
# # Which model?
#
# Two questions with one word: which language model is the cheaper and quicker one, and which model of a series
# forecasts it best. Both are answered by what was measured.

# %% tags=["parameters"]
days: int = 30  # days to look at (1 to 400)
horizon_h: int = 24  # hours that a forecast is tried on (1 to 168)

# %%
from analytics import backtest, cost, load, show

span = load.span("llm_requests", days=days)
rows = load.metrics(since=span.since, until=span.until)
show(span.sentence())

# %% [markdown]
# ## Language models: what a request costs

# %%
show(lambda: cost.breakdown(rows, by="model"))

# %% [markdown]
# ## And how long it takes
#
# Percentiles come from merged histograms, so that they are those of all requests of the span.

# %%
show(lambda: load.latency(by=("model",), grain="span", since=span.since, until=span.until))

# %% [markdown]
# ## The same work elsewhere
#
# What all requests would have cost on the model that was the cheapest for a million tokens, if it is good enough.


# %%
def elsewhere():
    paid = cost.rates_paid(rows)
    cheapest = paid.sort("output_usd_per_m")["model"]
    return cost.what_if(rows, paid, to=cheapest[0]) if len(cheapest) else "No model has a known price."


show(elsewhere)

# %% [markdown]
# ## Forecasting models: a race on the past
#
# Each starts from the same moments and knows nothing of what came after. Less than 1 is better than the naive. `ets`,
# `sarimax`, `lightgbm` and others can run too; they take longer.

# %%
series = load.llm(value="requests", by=("model",), since=span.since, until=span.until)
show(lambda: backtest(series, horizon_h, engines=("ensemble", "seasonal_naive"), windows=3))
