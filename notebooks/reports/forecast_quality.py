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
# # Forecast quality

# %% tags=["parameters"]
days: int = 30  # days to look back on (2 to 400)
until: str = ""  # ISO time with a zone, the end of the report; empty: the latest data
team: str = ""  # in the backtest only this team; empty: all
horizon_h: int = 24  # hours ahead that the backtest forecasts (1 to 336)
windows: int = 5  # moments of the past from which it forecasts (1 to 20)

# %%
from analytics import backtest, cost, load, records, track_record
from analytics.article import answer, attempt, show, steps

span = load.span(days=days, until=until)
rows = load.metrics(since=span.history(), until=span.until, team=team)
value, unit = cost.measure(rows)
column = "total_cost" if unit == "USD" else "requests"
made = attempt(track_record, records.forecasts(span.since, span.until))
measures = ("mase", "wape", "bias", "coverage")
tried = attempt(lambda: backtest(cost.series(rows, column, ["model"]), horizon_h, windows=windows, metrics=measures))
past = attempt(track_record, tried)
show(answer(span, made, past))

# %% [markdown]
# How forecasts did: those that were stored, against what came; and, whether any were stored or not, those that would
# have been made from moments of the past, knowing nothing of what came after. Times are UTC.

# %% [markdown]
# ## Stored forecasts
#
# Every hour counts once for each forecast that was made of it. Error and bias are parts of what came; a good interval
# of 80 % holds 80 % of what comes.

# %%
show(made.report, made.leads if made else None)

# %% [markdown]
# ## A backtest in their place
#
# The same engine as the reports use, beside the plainest rival: what was there a season ago.

# %%
show(tried.report)

# %% [markdown]
# ## By series, in the backtest

# %%
show(past.report, past.leads if past else None)

# %% [markdown]
# ## What to do next

# %%
show(steps(span, made, past))
