import json

import polars as pl
import pytest

from analytics import anomalies, budget, charts, cost, forecast, queues
from analytics.charts import MOST
from store.errors import ColumnMissing, NoRows
from tests.analytics.seed import NASTY, START, hours, seasonal

TWO = pl.concat([seasonal(240), seasonal(240, seed=1, level=50, unique_id=NASTY)])
LATENCY = pl.DataFrame({"ds": hours(3), "model": "m", "requests": 1, "errors": 0, "ttft_p95_s": [0.1, None, 0.3]})
SPEND = pl.DataFrame({"bucket": [START], "team": [NASTY], "requests": [3], "total_cost": [1.0]}).cast(
    {"bucket": pl.Datetime("us", "UTC")}
)
SPENDS = pl.concat([SPEND.with_columns(model=pl.lit(NASTY)), SPEND.with_columns(model=pl.lit("m"), total_cost=5.0)])
PAST = SPENDS.with_columns(total_cost=pl.lit(2.0), requests=pl.lit(4))
DEEP = pl.DataFrame({
    "bucket": hours(72), "queue": NASTY, "last_messages": 7200, "avg_consumers": 2.0, "avg_published_per_s": 11.0,
    "avg_acked_per_s": 10.0, "max_length": 10_000,
})  # fmt: skip
FIGURES = {
    "waterfall": lambda: cost.drivers(SPENDS, before=PAST).plot(),
    "compared": lambda: cost.what_if(SPENDS, requests=2.0).plot(),
    "burn down": lambda: budget.outlook(TWO, 1e4, period="week", n=100).plot(),
    "burn down of several": lambda: budget.outlook(TWO, {"s": 1e4, NASTY: 1.0}, period="week", n=100).plot(),
    "capacity": lambda: queues.capacity(DEEP, 4, n=100).plot(),
    "lags": lambda: queues.lead_lag(TWO.filter(unique_id=NASTY), TWO.filter(unique_id="s"), 3).plot(),
    "lines": lambda: charts.lines(TWO, unit="USD", title=NASTY),
    "stacked": lambda: charts.lines(TWO, unit="USD", title="t", stacked=True, most=1),
    "fan": lambda: forecast(TWO, 24, unit="USD").plot(),
    "timeline": lambda: anomalies(TWO, unit="USD").plot(),
    "bars": lambda: cost.breakdown(SPEND).plot(),
    "latency": lambda: charts.latency(LATENCY),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_every_figure_is_plain_has_text_and_units_and_no_ground(kind):
    figure = FIGURES[kind]()
    plain = json.loads(figure.to_json())
    assert plain["data"]
    assert len(figure.layout.meta["alt"]) > 20
    assert figure.layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"
    unit = (figure.layout.xaxis if kind in ("bars", "compared") else figure.layout.yaxis).title.text
    assert unit == {"latency": "seconds", "capacity": None, "lags": "correlation of surprises"}.get(kind, "USD")
    drawn = [trace.get("name", "") for trace in plain["data"]] + [str(plain["layout"]["title"])]
    assert "<script>" not in "".join(drawn)


def test_a_fan_has_a_panel_a_series_and_one_legend():
    figure = forecast(TWO, 24).plot()
    assert {trace.yaxis for trace in figure.data} == {"y", "y2"}
    assert sum(trace.showlegend for trace in figure.data) == 4


def test_one_point_ahead_is_seen_and_an_unknown_interval_is_not_drawn():
    past, ahead = forecast(TWO.filter(unique_id=NASTY).head(2), 1).plot().data
    assert (past.name, ahead.name, ahead.mode) == ("past", "forecast", "lines+markers")


def test_what_does_not_fit_is_added_up_or_said():
    many = pl.concat([seasonal(10, unique_id=f"s{k:02}") for k in range(MOST + 3)])
    assert [trace.name for trace in charts.lines(many, stacked=True).data][-1] == "other (3)"
    plain = charts.lines(many)
    assert len(plain.data) == MOST
    assert f"the {MOST} largest of {MOST + 3}" in plain.layout.meta["alt"]


def test_stacks_add_up():
    many = pl.concat([seasonal(10, seed=k, unique_id=f"s{k:02}") for k in range(MOST + 3)])
    drawn = sum(sum(trace.y) for trace in charts.lines(many, stacked=True).data)
    assert drawn == pytest.approx(many["y"].sum())


def test_nothing_to_draw():
    with pytest.raises(NoRows):
        charts.lines(TWO.clear())
    with pytest.raises(NoRows, match="latency"):
        charts.latency(LATENCY.with_columns(ttft_p95_s=pl.lit(None, pl.Float64)))
    with pytest.raises(ColumnMissing, match="ttft_p95_s"):
        charts.latency(LATENCY, value="ttft_p99_s")


def test_a_waterfall_ends_at_the_spend_now():
    bars = cost.drivers(SPENDS, before=PAST).plot().data[0]
    assert sum(bars.y[:-1]) == pytest.approx(bars.y[-1])
    assert (bars.measure[0], bars.measure[-1]) == ("absolute", "total")


def test_a_burn_down_ends_at_what_is_left():
    made = budget.outlook(TWO, 1e5, period="week", n=100)
    (expected,) = [trace for trace in made.plot().data if trace.name == "expected"]
    assert expected.y[-1] == pytest.approx(1e5 - made.table["total"][0])
