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
# # Start here
#
# Everything that an analysis needs is one import away. A long frame goes in (`unique_id`, `ds`, `y`; polars or
# pandas, yours or the store's), a result comes out that shows itself in a notebook.

# %% tags=["parameters"]
days: int = 30  # days to cover (1 to 400)

# %%
from analytics import anomalies, cost, forecast, load, queues, seasonality, show

# %% [markdown]
# ## What the store holds

# %%
llm = load.span("llm_requests", days=days)
usage = load.span("llm_usage", days=days)
rabbitmq = load.span("rabbitmq_queues", days=days)
show(llm.sentence(), usage.sentence(), rabbitmq.sentence())

# %% [markdown]
# ## What was spent
#
# `cost.breakdown` takes wide rows and any of their dimensions.

# %%
show(lambda: cost.breakdown(load.metrics(since=llm.before(), until=llm.until), by="team", since=llm.since))

# %% [markdown]
# ## What is to come
#
# `load.llm`, `load.usage` and `load.queues` give long frames; `forecast` takes any. `seasonality` says which seasons
# it found, and finds none where there is none.

# %%
requests = load.llm(value="requests", by=("team",), since=llm.since, until=llm.until)
show(lambda: seasonality(requests), lambda: forecast(requests, load.horizon(requests, 7), unit="requests"))

# %% [markdown]
# The same for usage that a provider or a gateway reports in buckets.

# %%
reported = load.usage(value="requests", by=("model",), since=usage.since, until=usage.until)
show(lambda: forecast(reported, load.horizon(reported, 3), unit="requests"))

# %% [markdown]
# ## What did not look normal

# %%
show(lambda: anomalies(requests, rate=1e-3, unit="requests"))

# %% [markdown]
# ## The queues now

# %%
show(lambda: queues.state(load.queue_metrics(since=rabbitmq.since, until=rabbitmq.until)))
