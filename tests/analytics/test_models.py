"""Engines beside the default one; those of packages that are not installed here skip and say so."""

import numpy as np
import polars as pl
import pytest

from analytics import forecast
from analytics.backtesting import backtest
from analytics.engines import ENGINES, engine
from analytics.models.diagnostics import diagnose
from analytics.models.refitting import refitted
from analytics.models.textbook import fit_sarimax
from store.errors import FileUnusable, PackageMissing, ParameterInvalid, TooShort, UnknownName
from tests.analytics.seed import seasonal

TEXTBOOK = ("ets", "sarimax", "theta")
FOREIGN = {
    "statsforecast": ("statsforecast", "statsforecast"),
    "lightgbm": ("mlforecast", "mlforecast"),
    "chronos": ("chronos", "chronos"),
    "timesfm": ("timesfm", "timesfm"),
}


@pytest.fixture(scope="module")
def daily():
    """Two positive series with a season of 7 that a naive of one step gets wrong."""
    frames = []
    for k in range(2):
        random = np.random.default_rng(k)
        y = (10 + 90 * k) * (1 + 0.5 * np.sin(np.arange(120) / 7 * 2 * np.pi)) * random.lognormal(0, 0.05, 120)
        frames.append(pl.DataFrame({"unique_id": f"s{k}", "ds": np.arange(120), "y": y}))
    return pl.concat(frames)


def beats_the_last_value(frame, name, most):
    """MASE against the naive of a season before, at one origin."""
    found = backtest(frame, 7, engines=name, windows=1, season_length=7, metrics=("mase", "coverage"))
    assert found.table["mase"][0] < most
    return found


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook_models_see_a_season(daily, name):
    found = beats_the_last_value(daily.filter(unique_id="s0"), name, 1.2)
    assert found.table["coverage_95"][0] >= 5 / 7


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook_forecasts_have_intervals_of_points_and_sums(daily, name):
    made = forecast(daily.filter(unique_id="s1"), 7, engine=name, season_length=7)
    rows, totals = made.to_polars(), made.totals()
    assert rows.null_count().sum_horizontal().item() == 0
    assert (rows["y_hat-hi-95"] - rows["y_hat-lo-95"] > rows["y_hat-hi-80"] - rows["y_hat-lo-80"]).all()
    assert (totals["total-lo-80"] < totals["total"]).all()
    assert "by statsmodels" in made.explain()


def test_sarimax_takes_a_long_season_as_waves_and_a_short_one_as_a_difference():
    random = np.random.default_rng(0)
    noise = random.normal(0, 1, 80)
    assert fit_sarimax(noise + np.sin(np.arange(80) / 16 * 2 * np.pi), (16,)).waves == (16,)
    assert fit_sarimax(noise, (4,)).model.seasonal_order == (0, 1, 1, 4)
    assert fit_sarimax(noise.cumsum(), ()).model.order[1] == 1
    assert fit_sarimax(noise, ()).model.order[1] == 0


def test_sarimax_scales_with_the_values():
    series = seasonal(60)["y"].to_numpy()
    one, small, large = (engine("sarimax")(series[None] * k, series[None], 5, ()).point for k in (1, 1e-6, 1e9))
    assert np.allclose(small, one * 1e-6, rtol=1e-4, atol=0)
    assert np.allclose(large, one * 1e9, rtol=1e-4, atol=0)


def test_diagnostics_tell_noise_from_what_is_left():
    random = np.random.default_rng(0)
    noise = random.normal(50, 1, 200)
    waves = noise + 20 * np.sin(np.arange(200) / 10 * 2 * np.pi)
    frame = pl.DataFrame(
        {"unique_id": ["noise"] * 200 + ["waves"] * 200, "ds": [*range(200)] * 2, "y": [*noise, *waves]}
    )
    made = diagnose(frame, "ets", season_length=3)  # not the season that it has
    p = dict(made.table.select("unique_id", "ljung_box_p").iter_rows())
    assert p["noise"] > 0.01
    assert p["waves"] < 1e-6
    assert "in 1 of them" in made.sentence()
    told = diagnose(frame.filter(unique_id="waves"), "sarimax", season_length=10)
    assert told.table["ljung_box_p"][0] > 0.01
    assert told.table["model"][0].startswith("ARIMA(")
    assert len(made.plot().data) == 2
    assert "aic" in made._repr_html_()


def test_information_criteria_are_of_the_values_not_of_their_scale():
    frame = seasonal(50)
    one, other = (diagnose(rows, "sarimax").table for rows in (frame, frame.with_columns(pl.col("y") * 1000)))
    assert other["aic"][0] - one["aic"][0] == pytest.approx(2 * 50 * np.log(1000), rel=0.01)


def test_diagnostics_of_what_cannot_be_fitted():
    with pytest.raises(UnknownName, match="did you mean 'theta'"):
        diagnose(seasonal(50), "thta")
    with pytest.raises(TooShort, match="a fit needs 12 points, it has 5"):
        diagnose(seasonal(5))


def test_each_origin_is_fitted_on_its_own_past():
    seen = []

    def solve(rows, steps):
        seen.append(rows.shape[1])
        return np.repeat(rows[:, -1:], steps, axis=1)

    line = np.arange(60.0)[None].repeat(2, axis=0)
    made = refitted(line, line, 5, (7,), solve, "last")
    assert seen == [60 - offset for offset in made.rolling.offsets] + [60]
    assert np.array_equal(made.rolling.errors, np.broadcast_to(np.arange(1.0, 6.0), made.rolling.errors.shape))


@pytest.mark.parametrize("name", FOREIGN)
def test_a_missing_package_is_asked_for_in_one_line(name, monkeypatch):
    import sys

    package, extra = FOREIGN[name]
    for module in [one for one in sys.modules if one.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageMissing) as caught:
        engine(name)
    assert str(caught.value) == (
        f"engine {name!r} needs the package {package}, which is missing: pip install 'gaugebook[{extra}]'"
    )


def test_names_of_engines():
    assert engine("ets") is engine("ets")
    assert set(FOREIGN) | set(TEXTBOOK) <= set(ENGINES)
    for wrong in ("ensemble:fast", "theta:2", "nope:x"):
        with pytest.raises(UnknownName, match="no engine"):
            engine(wrong)


@pytest.mark.parametrize("model", ["", ":SeasonalNaive", ":AutoETS", ":MSTL"])
def test_statsforecast(daily, model):
    pytest.importorskip("statsforecast", reason="the extra statsforecast is not installed")
    beats_the_last_value(daily, f"statsforecast{model}", 1.2)
    assert "of statsforecast" in forecast(daily, 7, engine=f"statsforecast{model}", season_length=7).explain()


def test_statsforecast_names_its_models(daily):
    pytest.importorskip("statsforecast", reason="the extra statsforecast is not installed")
    with pytest.raises(UnknownName, match="did you mean 'AutoETS'"):
        engine("statsforecast:AutoEST")
    with pytest.raises(ParameterInvalid, match="needs more than a season"):
        forecast(daily, 7, engine="statsforecast:SeasonalWindowAverage", season_length=7)


def test_lightgbm(daily):
    pytest.importorskip("mlforecast", reason="the extra mlforecast is not installed")
    beats_the_last_value(daily, "lightgbm", 1.5)
    with pytest.raises(ParameterInvalid, match="takes no model"):
        engine("lightgbm:x")
    ragged = pl.concat([daily.filter(unique_id="s0"), daily.filter(pl.col("unique_id") == "s1", pl.col("ds") >= 40)])
    assert forecast(ragged, 7, engine="lightgbm", season_length=7).to_polars()["y_hat"].is_finite().all()


@pytest.fixture
def bolt(tmp_path):
    """A Chronos-Bolt of a few thousand random weights, saved as the real ones are."""
    pytest.importorskip("chronos", reason="the extra chronos is not installed")
    import torch
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 4}
    shape = T5Config(**sizes, vocab_size=2, pad_token_id=0, decoder_start_token_id=0)
    shape.chronos_config = {
        "context_length": 512,
        "prediction_length": 64,
        "input_patch_size": 16,
        "input_patch_stride": 16,
        "quantiles": [k / 10 for k in range(1, 10)],
        "use_reg_token": True,
    }
    shape.architectures, shape.chronos_pipeline_class = ["ChronosBoltModelForForecasting"], "ChronosBoltPipeline"
    torch.manual_seed(0)
    ChronosBoltModelForForecasting(shape).save_pretrained(tmp_path / "bolt")
    return tmp_path / "bolt"


@pytest.mark.filterwarnings("default")
def test_chronos(daily, bolt):
    made = forecast(daily, 70, engine=f"chronos:{bolt}", season_length=7)
    assert made.to_polars()["y_hat"].is_finite().all()
    assert "chronos with weights of bolt" in made.explain()
    again = forecast(daily, 70, engine=f"chronos:{bolt}", season_length=7)
    assert again.to_polars().equals(made.to_polars())


@pytest.mark.parametrize("name", ["chronos", "timesfm"])
@pytest.mark.filterwarnings("default")
def test_weights_are_the_users_own(name, tmp_path):
    pytest.importorskip(name, reason=f"the extra {name} is not installed")
    with pytest.raises(ParameterInvalid, match=f"write '{name}:/folder/of/weights'"):
        engine(name)
    with pytest.raises(FileUnusable, match="they are not downloaded"):
        engine(f"{name}:{tmp_path / 'none'}")
    with pytest.raises(FileUnusable, match=f"holds no weights that {name} can load"):
        engine(f"{name}:{tmp_path}")
