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
# # What happened there?
#
# From a list of findings to the cause of the worst: when, how much, whose, and what else moved with it.

# %% tags=["parameters"]
days: int = 30  # days to look at (2 to 400)
rate: float = 0.001  # false alarms a point (0.00001 to 0.1)

# %%
from analytics import anomalies, load, show

span = load.span("llm_requests", days=days)
history = {"since": span.history(), "until": span.until}
show(span.sentence())

# %% [markdown]
# ## The findings, worst first
#
# Each point is judged by those before it alone, as an alarm would have.

# %%
total = load.llm(value="requests", **history)


def found():
    return anomalies(total, rate, unit="requests").since(span.since)


show(found)

# %% [markdown]
# ## In large

# %%
show(lambda: found().plot())

# %% [markdown]
# ## Whose is the worst
#
# Every team and model is compared with what its own past led to expect.

# %%
parts = load.llm(value="requests", by=("team", "model"), **history)


def worst():
    made = found()
    if not len(made.findings):
        return "There is no finding to explain."
    return made.contributions(made.findings["score"].arg_max(), parts, ["team", "model"])


show(worst)

# %% [markdown]
# ## What else moved at that time
#
# Errors beside requests, and the queues: the least likely by chance come first.

# %%
depth = load.queues(value="messages", **history)
errors = load.llm(value="errors", by=("model",), **history)


def related():
    made = found()
    if not len(made.findings):
        return "There is no finding that others could move with."
    others = [anomalies(one, rate) for one in (errors, depth) if len(one)]
    return made.related(made.findings["score"].arg_max(), *others)


show(related)
