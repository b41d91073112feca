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
# # Weekly summary

# %% tags=["parameters"]
days: int = 7  # days to cover (1 to 92)
until: str = ""  # ISO time with a zone, the end of the report; empty: the latest data
team: str = ""  # only this team; empty: all

# %%
from analytics import anomalies, causes, cost, load, performance, quality, queues, records, standings
from analytics.article import answer, attempt, show, steps

span = load.span(days=days, until=until)
whole = {"since": span.since, "until": span.until}
rows = load.metrics(since=span.history(), until=span.until, team=team)
now = rows.filter(rows["bucket"] >= span.since)
value, unit = cost.measure(rows)
column = "total_cost" if unit == "USD" else "requests"

spend = attempt(cost.breakdown, rows, "project" if team else "team", **whole)
month = attempt(lambda: cost.landing(cost.series(rows, column), unit=unit))
budgets = attempt(standings, records.budgets(span.until, team=team), rows)
show(answer(span, spend, month, budgets))

# %% [markdown]
# One page for those who pay: what the LLM calls of the week cost, where the month will end, whether the budgets hold,
# and what needs a decision. Times are UTC.

# %% [markdown]
# ## Who spent it

# %%
show(spend.plot, spend.for_people)

# %% [markdown]
# ## What moved it

# %%
drivers = attempt(cost.drivers, rows, "model", **whole)
show(drivers.sentence() if unit == "USD" else "No request has a known price.")

# %% [markdown]
# ## Where the month will end

# %%
show(month.plot, month.for_people, unit=unit)

# %% [markdown]
# ## Budgets

# %%
show(budgets.sentence(), budgets.for_people)

# %% [markdown]
# ## What stood out

# %%
found = attempt(
    lambda: causes(anomalies(cost.series(rows, column, ["model"]), unit=unit).since(span.since), rows, most=3)
)
show(found.sentence(), found.for_people, unit=unit)

# %% [markdown]
# ## How well it worked

# %%
latency = {"grain": "span", "team": team}
speed = attempt(
    performance.speeds,
    load.latency(**whole, **latency),
    load.latency(since=span.before(), until=span.since, **latency),
    records.errors(span, team=team),
)
waits = attempt(queues.state, load.queue_metrics(since=span.since, until=span.until))
complete = attempt(quality.check, now)
show(speed.sentence(), waits.sentence(), complete.sentence())

# %% [markdown]
# ## What needs a decision

# %%
units = attempt(cost.unit_costs, rows, "model", **whole)
moves = attempt(cost.cheaper, now, attempt(cost.rates_paid, now))
show(steps(span, budgets, month, found, moves, speed, units, complete, most=5))
