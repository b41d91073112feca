import numpy as np
import polars as pl
import pytest

from analytics.backtesting import backtest
from analytics.engines import ENGINES, Draft, register
from analytics.intervals import Rolling
from analytics.metrics import METRICS, measured
from store.errors import ColumnMissing, ParameterInvalid, TooShort, UnknownName
from tests.analytics.seed import NASTY, seasonal


@pytest.fixture(scope="module")
def traffic():
    return pl.concat([seasonal(400, unique_id="a"), seasonal(400, unique_id=NASTY, seed=1, level=1000.0)])


@pytest.fixture(scope="module")
def made(traffic):
    return backtest(traffic, 24, windows=3, season_length=24)


def naively(rows, past, season, level):
    """The metrics of one series and origin by loops, after their definitions."""
    error = [y - f for y, f in zip(rows["y"], rows["y_hat"], strict=True)]
    steps = [abs(b - a) for a, b in zip(past, past[season:], strict=False)]
    scale, power = sum(steps) / len(steps), sum(one**2 for one in steps) / len(steps)
    count = len(error)
    mae = sum(map(abs, error)) / count
    mse = sum(one**2 for one in error) / count
    losses, widths = [], []
    quantiles = [(0.5, "y_hat")]
    for one in level:
        quantiles += [((1 - one / 100) / 2, f"y_hat-lo-{one}"), ((1 + one / 100) / 2, f"y_hat-hi-{one}")]
    for q, name in quantiles:
        losses += [max(q * (y - f), (q - 1) * (y - f)) for y, f in zip(rows["y"], rows[name], strict=True)]
    alpha = 1 - max(level) / 100
    for y, low, high in zip(rows["y"], rows[f"y_hat-lo-{max(level)}"], rows[f"y_hat-hi-{max(level)}"], strict=True):
        widths.append(high - low + 2 / alpha * (max(low - y, 0) + max(y - high, 0)))
    pinball = sum(losses) / len(losses)
    size = sum(map(abs, rows["y"]))
    return {
        "mae": mae,
        "rmse": mse**0.5,
        "smape": sum(abs(e) / (abs(y) + abs(f)) for e, y, f in zip(error, rows["y"], rows["y_hat"], strict=True)) / count,
        "mase": mae / scale,
        "rmsse": (mse / power) ** 0.5,
        "wape": sum(map(abs, error)) / size,
        "bias": -sum(error) / count,
        "pinball": pinball,
        "scaled_crps": 2 * pinball * count / size,
        "msis": sum(widths) / count / scale,
        "coverage_80": sum(low <= y <= high for y, low, high in zip(rows["y"], rows["y_hat-lo-80"], rows["y_hat-hi-80"], strict=True)) / count,
    }  # fmt: skip


def test_metrics_are_those_of_a_loop(made, traffic):
    scores = made.scores.filter(engine="ensemble")
    assert scores.height == 6  # 2 series, 3 origins
    for row in scores.iter_rows(named=True):
        own = made.forecasts.filter(engine="ensemble", unique_id=row["unique_id"], cutoff=row["cutoff"]).sort("ds")
        past = traffic.filter(pl.col("unique_id") == row["unique_id"], pl.col("ds") <= row["cutoff"])["y"].to_list()
        for name, value in naively(own.to_dict(as_series=False), past, 24, (80, 95)).items():
            assert row[name] == pytest.approx(value, rel=1e-9), name


def test_every_metric_is_in_the_leaderboard(made):
    table = made.leaderboard()
    names = {
        name for metric in METRICS for name in (["coverage_80", "coverage_95"] if metric == "coverage" else [metric])
    }
    assert names <= set(table.columns)
    assert table["rank"].to_list() == [1, 2]
    assert table["mase"].is_sorted()
    pooled = made.forecasts.filter(engine=table["engine"][0])
    share = (pooled["y"] - pooled["y_hat"]).abs().sum() / pooled["y"].abs().sum()
    assert table["wape"][0] == pytest.approx(share)  # of sums, not a mean of quotients


def test_origins_see_the_past_alone(traffic):
    cheat = {}

    def peek(past, actual, horizon, seasons):
        cheat.setdefault("last", []).append(past[:, -1].copy())
        return Draft(np.repeat(past[:, -1:], horizon, axis=1), Rolling(np.zeros((len(past), 1, horizon)), (0,)), "")

    register("peek", peek)
    try:
        found = backtest(traffic, 10, engines="peek", windows=4, step=7, season_length=24, metrics="mae")
    finally:
        ENGINES.pop("peek")
    ends = traffic.group_by("unique_id", maintain_order=True).agg(pl.col("y"))
    for k, seen in enumerate(cheat["last"]):
        truth = sorted(series[-(10 + 7 * k) - 1] for series in ends["y"].to_list())
        assert sorted(seen) == truth
    assert found.windows == 4
    per_origin = found.forecasts.group_by("unique_id", "cutoff").agg(pl.len())
    assert per_origin["len"].unique().to_list() == [10]


def test_changing_the_future_changes_no_forecast_of_the_past(traffic):
    last = traffic["ds"].max()
    doubled = traffic.with_columns(
        pl.when(pl.col("ds") == last).then(pl.col("y") * 9).otherwise(pl.col("y")).alias("y")
    )
    one, other = (
        backtest(rows, 12, windows=2, season_length=24, engines="ensemble").forecasts for rows in (traffic, doubled)
    )
    assert one["y_hat"].equals(other["y_hat"])
    assert not one["y"].equals(other["y"])


def test_names_kinds_and_result(made, traffic):
    frame = traffic.rename({"unique_id": "team", "ds": "hour", "y": "usd"}).to_pandas()
    again = backtest(frame, 24, windows=3, season_length=24, id_col="team", time_col="hour", target_col="usd")
    assert again.leaderboard()["mase"].tolist() == pytest.approx(made.leaderboard()["mase"].to_list())
    assert list(again.to_pandas().columns[:3]) == ["engine", "team", "cutoff"]
    assert "best" in made.sentence()
    assert "coverage" not in made.sentence()
    assert "95 %" in made.sentence()
    assert made.best == made.leaderboard()["engine"][0]
    assert len(made.plot().data) == 2
    assert NASTY not in made._repr_html_()
    assert made.report()[2].equals(made.table)
    assert "of 24 steps before" in made.explain()


def test_missing_values_count_neither_way(traffic):
    holes = traffic.with_columns(pl.when(pl.col("ds").dt.hour() == 5).then(None).otherwise(pl.col("y")).alias("y"))
    found = backtest(holes, 24, windows=2, season_length=24, metrics=("mae", "mase"))
    assert found.forecasts["y"].null_count() == 0
    assert found.forecasts.group_by("engine", "unique_id", "cutoff").len()["len"].unique().to_list() == [23]
    assert found.table["mase"].is_finite().all()


def test_a_series_that_is_all_zero_has_no_scaled_error():
    rows = pl.concat([seasonal(200, unique_id="a"), seasonal(200, unique_id="z").with_columns(y=pl.lit(0.0))])
    found = backtest(rows, 24, windows=1, season_length=24)
    zero = found.scores.filter(unique_id="z", engine="ensemble")
    assert zero["mase"].to_list() == [None]
    assert zero["mae"].to_list() == [0.0]
    assert found.table["mase"].null_count() == 0


def test_short_histories_leave_origins_out():
    rows = pl.concat([seasonal(100, unique_id="long"), seasonal(30, unique_id="short")])
    found = backtest(rows, 12, windows=5, engines="seasonal_naive", season_length=24, metrics="mae")
    count = found.scores.group_by("unique_id").len().sort("unique_id")["len"].to_list()
    assert count == [5, 1]
    with pytest.raises(TooShort, match="12 points before its last 95"):
        backtest(rows, 95, metrics="mae")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"engines": "ensembel"}, UnknownName, "did you mean 'ensemble'"),
        ({"metrics": "mas"}, UnknownName, "did you mean"),
        ({"windows": 0}, ParameterInvalid, "windows"),
        ({"horizon": 0}, ParameterInvalid, "horizon"),
        ({"step": -1}, ParameterInvalid, "step"),
        ({"engines": ()}, ParameterInvalid, "engines"),
        ({"level": 100}, ParameterInvalid, "level"),
        ({"target_col": "cost"}, ColumnMissing, "cost"),
    ],
)
def test_what_cannot_be_used_is_named(traffic, options, error, words):
    with pytest.raises(error, match=words):
        backtest(traffic, **{"horizon": 24, **options})


def test_a_naive_of_one_step_scales_where_there_is_no_season():
    past = pl.DataFrame({"unique_id": "a", "ds": [1, 2, 3], "y": [1.0, 3.0, 5.0]})
    rows = pl.DataFrame({"unique_id": ["a"], "cutoff": [2], "ds": [3], "y": [5.0], "y_hat": [3.0]})
    assert measured(rows, past, ("mase", "msis"), (), 1)["mase"].to_list() == [1.0]
