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
#
# How deep the queues are, what flows in and out, how long they take to drain, how deep they will probably become,
# and what did not look normal. Times are UTC.

# %% tags=["parameters"]
days: int = 30  # days to cover (1 to 400)
horizon_days: int = 3  # days to forecast (1 to 90)
until: str = ""  # ISO time with a zone, the end of the report; empty: the latest data
most: int = 12  # queues to look at, the deepest (1 to 200)

# %%
from analytics import anomalies, charts, forecast, load, queues, show

span = load.span("rabbitmq_queues", days=days, until=until)
rows = load.queue_metrics(since=span.since, until=span.until)
show(span.sentence())

# %% [markdown]
# ## In short
#
# The state at each queue's latest hour. A queue drains in its depth divided by what consumers take beyond what
# publishers bring; one that grows or stands still never does.

# %%
show(lambda: queues.state(rows))

# %% [markdown]
# ## Depth


# %%
def series(value, since=span.since):
    return load.queues(value=value, by=("vhost", "queue"), since=since, until=span.until)


deep = queues.deepest(series("messages"), most)
show(lambda: charts.lines(deep, unit="messages", title="Messages in the deepest queues"))

# %% [markdown]
# ## Flow

# %%
rates = queues.flow(rows)
show(lambda: charts.lines(rates, unit="messages/s", title="Published, delivered and acknowledged, all queues"))

# %% [markdown]
# ## Consumers

# %%
consumers = queues.deepest(series("consumers"), most)
show(lambda: charts.lines(consumers, unit="consumers", title="Consumers"))

# %% [markdown]
# ## What is to come
#
# The forecast reaches at most half as far ahead as the data reach back.

# %%
depth = queues.deepest(series("messages", span.before()), most)
show(lambda: forecast(depth, load.horizon(depth, horizon_days), unit="messages", additive=False).report())

# %% [markdown]
# ## Capacity
#
# Arrivals against what the present consumers have shown that they can serve, how long a message waits, and the backlog
# to come if they stay as they are. Consumers needed are those with which a message waits a minute at most.

# %%
show(lambda: queues.capacity(rows, load.horizon(depth, horizon_days)).report())

# %% [markdown]
# ## What did not look normal
#
# Each hour is judged by the hours before it, at a false-alarm rate of one in a thousand.

# %%
show(lambda: anomalies(depth, unit="messages").since(span.since).report())
