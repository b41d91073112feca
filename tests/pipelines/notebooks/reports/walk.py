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
# # A random walk, seen four ways
#
# How far a walker gets in a number of days, by hour and by weekday. The numbers are drawn from a seeded generator:
# the page exists to show that prose, tables and charts survive the way from notebook to browser.

# %% tags=["parameters"]
days: int = 30  # days to walk (1 to 400)
step: float = 1.0  # standard deviation of an hour's step, metres (0.1 to 10)
team: str | None = None  # only this team
bucket: str = "hourly"  # how to add up
robust: bool = False  # median in place of the mean

# %%
import datetime as dt
import os
import sys

import numpy as np
import plotly.graph_objects as go
from IPython.display import HTML, display

print("a warning nobody should read", file=sys.stderr)
rng = np.random.default_rng(7)
hours = [dt.datetime(2026, 9, 1, tzinfo=dt.UTC) + dt.timedelta(hours=h) for h in range(24 * days)]
walk = rng.normal(0, step, len(hours)).cumsum()

# %% [markdown]
# ## Where the walker went
#
# After the last hour the walker stands **at the end of the line below**. A walk without drift has no home: the
# distance grows with the square root of the hours, and the sign means nothing.

# %%
figure = go.Figure(go.Scatter(x=hours, y=walk, name="position", line={"width": 1.5}))
figure.add_hline(y=0, line={"dash": "dot", "width": 1})
figure.update_layout(
    title={"text": "Position by the hour", "subtitle": {"text": "metres from the start, UTC"}},
    yaxis={"title": "metres"},
    meta={"alt": "Line chart of the position over time: it wanders between -40 and 40 metres."},
)
figure

# %% [markdown]
# ## Which days took it furthest
#
# | measure | what it says |
# |---|---|
# | position | metres from the start |
# | step | one hour's change |

# %%
weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
by_day = [[abs(float(v)) for v, h in zip(np.diff(walk), hours[1:], strict=True) if h.weekday() == d] for d in range(7)]
bars = go.Figure()
for label, q in (("median", 50), ("90th percentile", 90), ("largest", 100)):
    bars.add_bar(x=weekdays, y=[float(np.percentile(v, q)) if v else 0.0 for v in by_day], name=label)
bars.update_layout(title="Hourly steps by weekday", barmode="group", width=1400, yaxis={"title": "metres"})
bars.show()

rows = "".join(
    f"<tr><td>{name}</td><td>{len(v)}</td><td>{np.mean(v) if v else 0:.2f}</td><td>{max(v, default=0):.2f}</td></tr>"
    for name, v in zip(weekdays, by_day, strict=True)
)
display(
    HTML(
        "<table><caption>Steps by weekday, metres</caption><thead><tr><th>weekday</th><th>hours</th><th>mean step</th>"
        f"<th>largest step</th></tr></thead><tbody>{rows}</tbody></table>"
    )
)

# %% [markdown]
# ## When

# %%
heat = np.zeros((7, 24))
for v, h in zip(np.diff(walk), hours[1:], strict=True):
    heat[h.weekday(), h.hour] += abs(v)
go.Figure(go.Heatmap(z=heat, x=list(range(24)), y=weekdays, colorbar={"title": "m"})).update_layout(
    title="Metres walked by weekday and hour", xaxis={"title": "hour (UTC)"}
)

# %%
# What a hostile name of a team may hold, in a chart, in a table and in Markdown.
from html import escape

from IPython.display import Markdown

hostile = "</script><script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>"
display(HTML(f"<p>{escape(hostile)}</p>"))
display(HTML(hostile))
display(Markdown(hostile))
go.Figure(go.Scattergl(x=[1, 2, 3], y=[3, 1, 2], name=hostile, mode="markers")).update_layout(
    title=hostile, meta={"alt": '"' + hostile}, showlegend=True
)

# %%
import polars as pl

pl.DataFrame({"queue": ["orders", "mails"], "messages": [1200, 3], "age_s": [17.25, None]})

# %%
print(os.environ.get("GAUGEBOOK_DATABASE"), "GAUGEBOOK_DSN" in os.environ, team, os.getcwd() in sys.path)
