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
# # LLM performance

# %% tags=["parameters"]
days: int = 14  # days to cover (1 to 400)
until: str = ""  # ISO time with a zone, the end of the report; empty: the latest data
team: str = ""  # only this team; empty: all
slo_ttft_s: float = 2.0  # seconds within which the first token is to come (0.01 to 600)
slo_share: float = 0.95  # share of requests that are to keep it and not fail (0.5 to 0.9999)

# %%
from analytics import anomalies, causes, changepoints, charts, cost, load, performance, records
from analytics.article import answer, attempt, show, steps

span = load.span(days=days, until=until)
whole = {"since": span.since, "until": span.until, "team": team}
rows = load.metrics(**whole)
latency = load.latency(grain="span", **whole)
before = load.latency(grain="span", since=span.before(), until=span.since, team=team)
speed = attempt(performance.speeds, latency, before, records.errors(span, team=team))
objective = attempt(performance.slo, records.within(span, slo_ttft_s, team=team), slo_ttft_s, slo_share)
show(answer(span, speed, objective))

# %% [markdown]
# How soon the first token comes, how fast the rest follows, how much is answered, what fails, and when. Times are UTC.
# Percentiles are those of single requests, merged from histograms; failed requests are in none of them.
#
# ## The objective

# %%
show(objective.report)

# %% [markdown]
# ## Time to first token

# %%
show(speed.report)

# %%
hourly = load.latency(**whole)
show(lambda: charts.latency(hourly, title="Time to first token, 95th percentile"))

# %% [markdown]
# ## Time per token
#
# What a reader sees of a streamed answer: seconds from one token to the next.

# %%
show(lambda: charts.latency(hourly, value="tpot_p50_s", title="Time per output token, median"))

# %% [markdown]
# ## When it is slow
#
# By hour of the week, over all weeks of the span.

# %%
week = records.week(span, team=team)
show(lambda: performance.worst_hours(week))
show(lambda: charts.week(week, "ttft_s", title="Time to first token, 95th percentile, by hour", unit="seconds"))

# %% [markdown]
# ## How much is answered

# %%
show(lambda: charts.lines(cost.series(rows, "output_tokens", ["model"]), unit="tokens/h", title="Output", stacked=True))
show(lambda: charts.week(week, "requests", title="Requests by hour of the week", unit="requests"))

# %% [markdown]
# ## What fails

# %%
show(speed.failed if speed else speed.report)
show(
    lambda: charts.lines(
        cost.series(rows, "errors", ["model"]), unit="failures/h", title="Failed requests", stacked=True
    )
)

# %% [markdown]
# ## What changed for good
#
# Lasting changes of the hourly median of the time to first token, with the interval of each date.

# %%
first = attempt(performance.series, hourly, "ttft_p50_s")
show(attempt(changepoints, first, unit="seconds").report, unit="seconds")

# %% [markdown]
# ## What did not look normal

# %%
found = attempt(lambda: causes(anomalies(performance.series(hourly, "ttft_p95_s"), unit="seconds")))
show(found.report)

# %% [markdown]
# ## What to do next

# %%
show(steps(span, objective, speed, found))
