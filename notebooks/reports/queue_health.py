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
# # Queue health

# %% tags=["parameters"]
days: int = 30  # days to cover (1 to 400)
horizon_days: int = 3  # days to forecast (1 to 90)
until: str = ""  # ISO time with a zone, the end of the report; empty: the latest data
most: int = 12  # queues to look at, the deepest (1 to 200)
wait_s: float = 60.0  # seconds that a message may wait (1 to 86400)

# %%
from analytics import anomalies, causes, charts, forecast, load, quality, queues
from analytics.article import answer, attempt, show, steps

span = load.span("rabbitmq_queues", days=days, until=until)
rows = load.queue_metrics(since=span.since, until=span.until)


def series(value, since=span.since):
    return load.queues(value=value, by=("vhost", "queue"), since=since, until=span.until)


depth = queues.deepest(series("messages", span.before()), most)
state = attempt(queues.state, rows)
ahead = load.horizon(depth, horizon_days)
room = attempt(queues.capacity, rows, ahead, target_age_s=wait_s)
show(answer(span, state, room))

# %% [markdown]
# How deep the queues are, how long messages wait in them, what flows in and out, how long they take to drain or to
# fill, how deep they will become, and what did not look normal. Times are UTC.
#
# ## Now
#
# The state at each queue's latest hour. A queue drains in its depth divided by what consumers take beyond what
# publishers bring; one that grows or stands still never does.

# %%
show(state.report)

# %% [markdown]
# ## Depth and age
#
# How long a message waits is, by Little's law, what is in a queue divided by what comes in.

# %%
deep = queues.deepest(series("messages"), most)
show(lambda: charts.lines(deep, unit="messages", title="Messages in the deepest queues"))
show(lambda: charts.lines(queues.ages(rows, most), unit="seconds", title="How long a message waits"))

# %% [markdown]
# ## Flow and consumers

# %%
show(lambda: charts.lines(queues.flow(rows), unit="messages/s", title="Published, delivered, acknowledged, all queues"))
show(lambda: charts.lines(queues.deepest(series("consumers"), most), unit="consumers", title="Consumers"))

# %% [markdown]
# ## Room: time to full, time to empty
#
# Arrivals against what the present consumers have shown that they can serve, how long a message waits, and the backlog
# to come if they stay as they are. Consumers needed are those with which a message waits no longer than it may.

# %%
show(room.report)

# %% [markdown]
# ## What is to come
#
# The forecast reaches at most half as far ahead as the data reach back.

# %%
show(lambda: forecast(depth, ahead, unit="messages", additive=False).report())

# %% [markdown]
# ## Incidents
#
# Each hour is judged by the hours before it, at a false-alarm rate of one in a thousand.

# %%
found = attempt(lambda: causes(anomalies(depth, unit="messages").since(span.since)))
show(found.report)

# %% [markdown]
# ## Nodes
#
# When memory or disk of a node reaches the limit at which it blocks publishers, by the trend of its latest day.

# %%
nodes = attempt(queues.alarms, load.node_samples(since=span.last_days(), until=span.until))
show(nodes.report)

# %% [markdown]
# ## How complete the data is, and what to do next

# %%
gaps = attempt(quality.gaps, deep)
show(span.sentence(), gaps.sentence())
show(steps(span, room, nodes, found, gaps))
