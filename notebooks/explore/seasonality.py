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
# # The rhythm of the week
#
# Requests follow people, and people follow the clock. A season is reported only where it makes forecasts of what was
# held out better; none is invented.

# %% tags=["parameters"]
days: int = 60  # days to look at (7 to 400)
value: str = "requests"  # requests, errors, cost_usd, input_tokens, output_tokens
by: str = "team"  # provider, model, team or project

# %%
from analytics import load, seasonality, show

span = load.span("llm_requests", days=days)
series = load.llm(value=value, by=(by,), since=span.since, until=span.until)
show(span.sentence())

# %% [markdown]
# ## Which seasons there are

# %%
show(lambda: seasonality(series))

# %% [markdown]
# ## The week by the hour
#
# Dark hours are busy ones: heavy jobs belong where it is light.

# %%
show(lambda: seasonality(series).plot())

# %% [markdown]
# ## Trend, season, and what is left
#
# The series taken apart by MSTL. What is left over should look like noise; where it does not, look for an event.

# %%
show(lambda: seasonality(series).plot_decomposition())
