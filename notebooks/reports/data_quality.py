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
# # Data quality

# %% tags=["parameters"]
days: int = 30  # days to cover (1 to 400)
until: str = ""  # ISO time with a zone, the end of the report; empty: the latest data
team: str = ""  # only this team; empty: all

# %%
from analytics import cost, load, quality, records
from analytics.article import answer, attempt, show, steps

span = load.span(days=days, until=until)
rows = load.metrics(since=span.since, until=span.until, team=team)
complete = attempt(quality.check, rows)
fresh = attempt(quality.freshness, records.spans(), rows, until=until)
gaps = attempt(lambda: quality.gaps(cost.series(rows, "requests")))
bills = attempt(quality.bills, records.bills(span))
show(answer(span, complete, fresh, gaps, bills))

# %% [markdown]
# How far the figures of the other reports can be trusted: what is late, what is missing, what has no price or no token
# counts, and whether it adds up to what the providers bill. Times are UTC.

# %% [markdown]
# ## Lateness

# %%
show(fresh.report)

# %% [markdown]
# ## Gaps
#
# Hours without a single request in which, as that hour of the week goes, there should have been ten or more.

# %%
show(gaps.report)

# %% [markdown]
# ## Gaps in queue samples
#
# Hours in which nobody looked at a queue.

# %%
looked = attempt(lambda: quality.gaps(load.queues(by=("vhost", "queue"), since=span.since, until=span.until)))
show(looked.report)

# %% [markdown]
# ## Prices and token counts
#
# A request without a price is in no cost; one without token counts cannot have one.

# %%
show(complete.sentence(), complete.for_people)

# %%
unpriced = records.unpriced(span)
show(unpriced if len(unpriced) else "Every model that was used has a price.")

# %% [markdown]
# ## Against the providers' bills
#
# Whole days, as providers bill them. Positive: more is billed than was metered.

# %%
show(bills.report)

# %% [markdown]
# ## What to do next

# %%
show(steps(span, fresh, gaps, looked, complete, bills))
