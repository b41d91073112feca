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
# # Where the money goes
#
# From the bill to the cause of it: who spends, on which model, what moved it, and what a change would save. Each
# result shows itself; `.explain()` says how sure it is, `.plot()` draws it large, `.to_polars()` and `.to_pandas()`
# give the rows.

# %% tags=["parameters"]
days: int = 30  # days to look at, beside as many before them (1 to 400)

# %%
from analytics import changepoints, cost, load, show

span = load.span("llm_requests", days=days)
rows = load.metrics(since=span.before(), until=span.until)
show(span.sentence())

# %% [markdown]
# ## Who spends, and on what
#
# Any columns of the rows are dimensions: `team`, `project`, `provider`, `model`, or several of them.

# %%
show(lambda: cost.breakdown(rows, by=("team", "project"), since=span.since))

# %%
show(lambda: cost.breakdown(rows, by="model", since=span.since).plot())

# %% [markdown]
# ## Why it changed
#
# More requests, other models, longer prompts or another price: the change is split between them and adds up exactly.

# %%
show(lambda: cost.drivers(rows, by="model", since=span.since))

# %% [markdown]
# ## Since when
#
# A change of level is a lasting one, with the interval of its date. What was deployed then?

# %%
daily = load.llm(value="cost_usd", by=("model",), grain="daily", since=span.before(), until=span.until)
show(lambda: changepoints(daily, unit="USD", least=4))

# %% [markdown]
# ## What if
#
# Half as many output tokens, or four fifths of the input from the cache, at the rates that were paid.

# %%
show(
    lambda: cost.what_if(rows, cost.rates_paid(rows), output_tokens=0.5),
    lambda: cost.what_if(rows, cost.rates_paid(rows), cached_share=0.8),
)
