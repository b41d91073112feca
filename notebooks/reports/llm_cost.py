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

# %% tags=["parameters"]
from typing import Literal

days: int = 30  # days to cover (1 to 400)
horizon_days: int = 7  # days to forecast (1 to 90)
until: str = ""  # ISO time with a zone, the end of the report; empty: the latest data
team: str = ""  # only this team; empty: all
source: Literal["llm_requests", "llm_usage"] = "llm_requests"  # single requests, or usage reported in buckets

# %%
from analytics import anomalies, causes, charts, cost, forecast, load, quality, records, standings
from analytics.article import answer, attempt, show, steps

span = load.span(source, days=days, until=until)
whole = {"since": span.since, "until": span.until}
rows = load.metrics(source=source, since=span.history(), until=span.until, team=team)
now = rows.filter(rows["bucket"] >= span.since)
value, unit = cost.measure(rows)
who = "project" if team else "team"

spend = attempt(cost.breakdown, rows, who, **whole)
month = attempt(lambda: cost.landing(cost.series(rows, "total_cost" if unit == "USD" else "requests"), unit=unit))
budgets = attempt(standings, records.budgets(span.until, team=team), rows)
show(answer(span, spend, month, budgets))

# %% [markdown]
# What the LLM calls of a span cost, who spent it and on which model, what is to come, and what did not look normal.
# Times are UTC; costs are those of the moment of each call and are never rewritten.

# %% [markdown]
# ## Who spends
#
# Compared with the span of equal length before, where the store reaches back that far.

# %%
show(spend.plot, spend.for_people, None if team else attempt(cost.breakdown, rows, "project", **whole).for_people)

# %% [markdown]
# ## On which models, and what a request costs there

# %%
units = attempt(cost.unit_costs, rows, "model", **whole)
show(attempt(cost.breakdown, rows, "model", **whole).report, units.report)

# %% [markdown]
# ## What moved it
#
# The change against the span before, split exactly between requests, the models they went to, length and price.

# %%
show(attempt(cost.drivers, rows, "model", **whole).report if unit == "USD" else "No request has a known price.")

# %% [markdown]
# ## Where the month will end

# %%
show(month.report, unit=unit)

# %% [markdown]
# ## Budgets

# %%
show(budgets.report)

# %% [markdown]
# ## The days to come
#
# The total and its interval come from errors of sums in backtests; at most half as far ahead as the data reach back.

# %%
read = load.reader(span, team)
by_model = read(value=value, by=("model",), since=span.history(), until=span.until)
total = read(value=value, since=span.history(), until=span.until)
show(lambda: charts.lines(by_model.filter(by_model["ds"] >= span.since), unit=unit, title="By model", stacked=True))
show(lambda: forecast(total, load.horizon(total, horizon_days), unit=unit).report(), unit=unit)

# %% [markdown]
# ## What the cache saved, and what a cheaper model would
#
# At rates worked out from what was paid, so that contracts and discounts are in them.

# %%
paid = attempt(cost.rates_paid, now)
saved = attempt(cost.cache_savings, now, paid)
moves = attempt(cost.cheaper, now, paid)
show(saved.report, moves.report)

# %% [markdown]
# ## What did not look normal
#
# Each point is judged by those before it, at a false-alarm rate of one in a thousand.

# %%
found = attempt(lambda: causes(anomalies(by_model, unit=unit).since(span.since), rows))
show(found.report, unit=unit)

# %% [markdown]
# ## How complete the data is, and what to do next

# %%
complete = attempt(quality.check, now)
show(span.sentence(), complete.sentence())
show(steps(span, budgets, month, found, moves, saved, units, complete))
