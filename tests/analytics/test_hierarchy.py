import numpy as np
import polars as pl
import pytest

from analytics import forecast
from analytics.hierarchy import coherent, reconcile
from analytics.reconcilers import solve
from analytics.tree import least_squares, non_negative, tree
from store.errors import ColumnMissing, NoRows, ParameterInvalid, UnknownName
from tests.analytics.seed import NASTY, hours, seasonal

METHODS = ("mint_shrink", "wls", "structural", "bottom_up")


def grown(teams, projects, models, seed=0):
    random = np.random.default_rng(seed)
    rows = [
        (f"t{t}", f"p{p}", f"m{m}")
        for t in range(teams)
        for p in range(random.integers(1, projects + 1))
        for m in range(random.integers(1, models + 1))
    ]
    return tree(pl.DataFrame(rows, schema=["team", "project", "model"], orient="row"))


def incoherent(made, seed=0, noise=20.0):
    random = np.random.default_rng(seed)
    nodes, leaves = sum(made.sizes), made.sizes[-1]
    return made.sums(random.gamma(1, 10, (leaves, 5))) + random.normal(0, noise, (nodes, 5)), random.gamma(2, 1, nodes)


@pytest.fixture(scope="module")
def spend():
    shares = {("a", "x"): 5.0, ("a", "y"): 1.0, ("b", "x"): 3.0, (NASTY, "z"): 0.2}
    frames = [
        seasonal(400, seed=k, level=level, noise=0.3).with_columns(team=pl.lit(t), model=pl.lit(m)).drop("unique_id")
        for k, ((t, m), level) in enumerate(shares.items())
    ]
    return pl.concat(frames)


@pytest.mark.parametrize("seed", range(3))
def test_two_passes_are_the_matrix_formula(seed):
    made = grown(4, 3, 5, seed)
    base, variance = incoherent(made, seed)
    sums = made.sums(np.eye(made.sizes[-1]))
    weights = np.diag(1 / variance)
    expected = sums @ np.linalg.solve(sums.T @ weights @ sums, sums.T @ weights @ base)
    assert np.allclose(least_squares(made, base, variance), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_the_non_negative_answer_is_that_of_nnls(seed):
    from scipy.optimize import nnls

    made = grown(4, 3, 5, seed)
    base, variance = incoherent(made, seed)
    sums, root = made.sums(np.eye(made.sizes[-1])), 1 / np.sqrt(variance)
    found = non_negative(made, base, variance)
    assert (least_squares(made, base, variance)[made.leaves] < 0).any()  # else there is nothing to solve
    assert found.min() == 0
    for column in range(base.shape[1]):
        exact, _ = nnls(root[:, None] * sums, root * base[:, column])
        assert np.allclose(found[:, column], sums @ exact, atol=1e-8)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9, 1e15])
def test_the_answer_scales_with_the_values(scale):
    made = grown(5, 4, 4)
    base, variance = incoherent(made)
    one = non_negative(made, base, variance)
    other = non_negative(made, base * scale, variance * scale**2)
    assert np.allclose(other / scale, one, rtol=1e-9, atol=1e-12)


def test_leaves_of_very_unequal_size_keep_their_digits():
    made = grown(6, 3, 4)
    random = np.random.default_rng(0)
    size = 10.0 ** random.uniform(-8, 8, made.sizes[-1])
    base = made.sums(size[:, None])
    variance = made.sums(size) ** 2 * 1e-4
    assert np.allclose(non_negative(made, base, variance), base, rtol=1e-9)


def test_the_package_agrees():
    from hierarchicalforecast.methods import MinTraceSparse
    from scipy import sparse

    made = grown(4, 3, 5)
    base, _ = incoherent(made)
    base = np.abs(base)
    sums = made.sums(np.eye(made.sizes[-1]))
    theirs = MinTraceSparse("wls_struct", nonnegative=True).fit_predict(sparse.csr_matrix(sums), base)["mean"]
    assert np.allclose(non_negative(made, base, sums.sum(axis=1)), theirs, atol=1e-3 * base.max())


def test_names_say_which_is_which():
    made = tree(pl.DataFrame({"team": ["a", "a/b", "total"], "model": ["b/c", "c", "x"]}))
    assert made.names().n_unique() == sum(made.sizes)
    assert set(made.names()) >= {"total", "team=total", "team=a, model=b/c", "team=a/b, model=c"}
    assert tree(pl.DataFrame({"q": [None, "x"]})).names().to_list() == ["total", "none", "x"]


@pytest.mark.parametrize("method", METHODS)
def test_everything_adds_up(spend, method):
    made = reconcile(spend, 24, by=("team", "model"), method=method, season_length=24, unit="USD")
    assert made.method == method
    rows = made.to_polars()
    assert rows.height == 24 * (1 + 3 + 4)
    leaves = rows.filter(pl.col("model").is_not_null())
    for dims in ((), ("team",)):
        above = rows.filter(pl.col("model").is_null(), pl.col("team").is_null() != bool(dims)).sort(*dims, "ds")
        sums = leaves.group_by(*dims, "ds").agg(pl.col("y_hat").sum()).sort(*dims, "ds")
        assert np.allclose(sums["y_hat"], above["y_hat"], rtol=1e-9, atol=1e-9)
    assert rows["y_hat"].min() >= 0
    assert (rows["y_hat-lo-80"] <= rows["y_hat"]).all()
    assert (rows["y_hat"] <= rows["y_hat-hi-80"]).all()
    totals = made.totals()
    assert totals["total"][0] == pytest.approx(totals["total"][1:4].sum())
    assert (
        totals["total-hi-95"][0] - totals["total-lo-95"][0] < (totals["total-hi-95"] - totals["total-lo-95"])[4:].sum()
    )


def test_the_leaves_are_forecast_as_they_are(spend):
    bottom = reconcile(spend, 24, by=("team", "model"), method="bottom_up", season_length=24)
    nodes = spend.with_columns(pl.concat_str("team", "model", separator="/").alias("unique_id"))
    own = bottom.base.to_polars().tail(4 * 24)
    alone = forecast(nodes, 24, season_length=24).to_polars()
    both = own.join(alone, on=["unique_id", "ds"], suffix="-alone")
    assert both.height == 96
    assert np.allclose(both["y_hat"], both["y_hat-alone"], rtol=0.02)  # but for what series of a frame share
    assert own["y_hat"].to_list() == bottom.level("model")["y_hat"].to_list()


def test_reconciled_errors_belong_to_reconciled_forecasts(spend):
    # Forecasting the past and reconciling there gives the errors that the map of errors gives.
    made = reconcile(spend, 24, by=("team", "model"), method="wls", season_length=24)
    [(rows, draft), *_] = [part for part in made.forecast.parts if len(part[0]) > 1]
    base = dict(zip(rows, draft.rolling.errors, strict=True))
    if len(base) == 8:
        top, teams = base[0], [base[k] for k in (1, 2, 3)]
        assert np.allclose(top, np.sum(teams, axis=0), atol=1e-6 * np.nanmax(np.abs(top)))


def test_a_solver_that_fails_gives_way(spend, monkeypatch):
    from hierarchicalforecast import methods

    def broken(*_args, **_kwargs):
        raise ValueError("ill-conditioned")

    monkeypatch.setattr(methods.MinTrace, "fit", broken)
    made = reconcile(spend, 12, by=("team", "model"), season_length=24)
    assert made.method == "bottom_up"
    assert "MinT-shrink failed: ill-conditioned" in made.explain()
    assert made.tree.incoherence(made.forecast.to_polars()["y_hat"].to_numpy().reshape(-1, 12)) < 1e-9


def test_without_errors_the_structure_weighs():
    made = grown(3, 2, 2)
    base, _ = incoherent(made, noise=1.0)
    found = solve(made, base, np.full((len(base), 0, 5), np.nan), "mint_shrink", floor=False)
    assert found.method == "structural"


def test_mint_shrink_is_non_negative_at_token_scale():
    rows = []
    for team in range(6):
        for model in range(4):
            one = seasonal(300, seed=10 * team + model, level=1e9 * 10.0 ** (-model), noise=1.5)
            rows.append(one.with_columns(team=pl.lit(f"t{team}"), model=pl.lit(f"m{model}")))
    made = reconcile(pl.concat(rows), 24, by=("team", "model"), season_length=24)
    assert made.method == "mint_shrink"
    assert made.to_polars()["y_hat"].min() >= 0
    moved = made.moved()
    assert (moved["moved"] < 0.5).all()  # and no rubbish
    small = reconcile(pl.concat(rows).with_columns(pl.col("y") / 1e9), 24, by=("team", "model"), season_length=24)
    assert np.allclose(small.to_polars()["y_hat"] * 1e9, made.to_polars()["y_hat"], rtol=1e-3, atol=1e-3 * 1e5)


def test_negative_values_stay_free(spend):
    refunds = spend.with_columns(pl.when(pl.col("model") == "z").then(-pl.col("y")).otherwise(pl.col("y")).alias("y"))
    made = reconcile(refunds, 12, by=("team", "model"), season_length=24)
    assert made.level("model").filter(model="z")["y_hat"].max() < 0
    assert "None is negative" not in made.note


def test_gaps_late_starts_and_early_ends():
    clock = hours(200)
    frames = [
        pl.DataFrame({"queue": "long", "ds": clock, "y": np.arange(200.0)}),
        pl.DataFrame({"queue": "late", "ds": clock[150:], "y": np.ones(50)}),
        pl.DataFrame({"queue": "gone", "ds": clock[:100], "y": np.full(100, 7.0)}),
        pl.DataFrame({"queue": "gaps", "ds": clock, "y": np.arange(200.0)}).filter(pl.col("ds").dt.hour() != 3),
    ]
    made = reconcile(pl.concat(frames), 6, by="queue")
    history = made.base.history.filter(pl.col("unique_id") == "total").sort("ds")
    expected = np.arange(200.0) * 2 + (np.arange(200) >= 150) + 7.0 * (np.arange(200) < 100)
    assert np.allclose(history["y"].to_numpy(), expected)
    assert made.forecast.to_polars()["ds"].min() > clock[-1]
    assert made.to_polars().filter(queue="gone")["y_hat"].max() < 1.0


def test_rows_of_one_leaf_are_added_up(spend):
    halves = pl.concat([spend.with_columns(pl.col("y") / 2, provider=pl.lit(p)) for p in ("p", "q")])
    one = reconcile(spend, 12, by=("team", "model"), season_length=24).to_polars()
    two = reconcile(halves, 12, by=("team", "model"), season_length=24).to_polars()
    assert np.allclose(one["y_hat"], two["y_hat"])


def test_names_kinds_and_result(spend):
    frame = spend.rename({"ds": "hour", "y": "usd"}).to_pandas()
    options = {"by": ("team", "model"), "season_length": 24, "time_col": "hour", "target_col": "usd", "unit": "USD"}
    made = reconcile(frame, 12, **options)
    assert type(made.level("team")).__module__.startswith("pandas")
    assert list(made.to_pandas().columns[:5]) == ["team", "model", "unique_id", "hour", "y_hat"]
    assert made.sentence().startswith("Over the next 12 hours the total is $")
    assert made.sentence().endswith("it is the sum of 3 team > 4 model.")
    assert NASTY not in made._repr_html_()
    assert len(made.plot().data) > 3
    assert made.report()[2].height == 8
    assert made.forecast.paths(10).shape == (8, 10, 12)
    assert made.base.to_polars()["unique_id"][0] == "total"
    with pytest.raises(UnknownName, match="did you mean 'team'"):
        made.level("taem")


def test_the_total_is_what_forecast_alone_says_before(spend):
    made = reconcile(spend, 12, by=("team", "model"), season_length=24)
    total = spend.group_by("ds").agg(pl.col("y").sum()).sort("ds")
    alone = forecast(total, 12, season_length=24).to_polars()["y_hat"]
    assert np.allclose(made.base.to_polars()["y_hat"][:12], alone, rtol=0.05)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"by": ()}, ParameterInvalid, "by"),
        ({"by": ("team", "team")}, ParameterInvalid, "each once"),
        ({"by": ("taem",)}, ColumnMissing, "did you mean 'team'"),
        ({"method": "mint"}, UnknownName, "method"),
        ({"target_col": "team"}, ParameterInvalid, "expected numbers"),
    ],
)
def test_what_cannot_be_used_is_named(spend, options, error, words):
    with pytest.raises(error, match=words):
        reconcile(spend, 12, **{"by": ("team", "model"), **options})
    with pytest.raises(NoRows):
        reconcile(spend.clear(), 12, by=("team",))


def test_forecasts_made_elsewhere():
    made = grown(5, 3, 4)
    base, variance = incoherent(made)
    base = np.abs(base)
    nodes, steps = base.shape
    frame = pl.concat([made.paths] * steps).with_columns(
        ds=pl.Series(np.repeat(np.arange(steps), nodes)),
        y_hat=pl.Series(base.T.ravel()),
        v=pl.Series(np.tile(variance, steps)),
    )
    frame = frame.with_columns((pl.col("y_hat") - 1).alias("y_hat-lo-80")).sample(fraction=1.0, shuffle=True, seed=0)
    by = ("team", "project", "model")
    found = coherent(frame, by=by, variance_col="v")
    assert found.columns == frame.columns
    assert found["ds"].equals(frame["ds"])
    wide = made.paths.with_row_index("node").join(found, on=by, nulls_equal=True).sort("ds", "node")
    expected = non_negative(made, base, variance)
    assert np.allclose(wide["y_hat"].to_numpy().reshape(steps, nodes).T, expected, atol=1e-5)
    assert found["y_hat-lo-80"].min() >= 0
    assert type(coherent(frame.to_pandas(), by=by)).__module__.startswith("pandas")
    for broken, words in (
        (frame.head(len(frame) - 1), "one row for each"),
        (pl.concat([frame, frame.head(1)]), "one row for each"),
        (frame.with_columns(y_hat=None), "is missing"),
        (
            frame.with_columns(pl.when(pl.col("project").is_null()).then(pl.lit("zz")).otherwise("team").alias("team")),
            "no node above a leaf",
        ),
    ):
        with pytest.raises(ParameterInvalid, match=words):
            coherent(broken, by=by)
