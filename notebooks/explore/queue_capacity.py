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
# # Will the queue drain?
#
# Arrivals against what the consumers can serve, how deep it gets, and how many consumers it takes.

# %% tags=["parameters"]
days: int = 14  # days to look at (1 to 400)
horizon_h: int = 24  # hours ahead (1 to 168)
target_age_s: float = 60.0  # seconds that a message may wait (0.1 to 86400)

# %%
from analytics import forecast, load, queues, show

span = load.span("rabbitmq_queues", days=days)
rows = load.queue_metrics(since=span.since, until=span.until)
show(span.sentence())

# %% [markdown]
# ## As it stands

# %%
show(lambda: queues.state(rows))

# %% [markdown]
# ## What the consumers can take
#
# Capacity is seen only while a queue is busy. The depth to come is simulated, arrivals less capacity, path by path.

# %%
show(lambda: queues.capacity(rows, horizon_h, target_age_s=target_age_s))

# %%
show(lambda: queues.capacity(rows, horizon_h, target_age_s=target_age_s).plot())

# %% [markdown]
# ## What it would take if twice as much came

# %%
twice = rows.with_columns(rows["avg_published_per_s"] * 2)
show(lambda: queues.capacity(twice, horizon_h, target_age_s=target_age_s))

# %% [markdown]
# ## The depth, forecast as a series

# %%
depth = queues.deepest(load.queues(value="messages", since=span.since, until=span.until), 3)
show(lambda: forecast(depth, load.horizon(depth, horizon_h / 24), unit="messages", additive=False))
