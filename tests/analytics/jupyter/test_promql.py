"""%%promql on real Prometheus servers of both major versions."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from analytics.jupyter import catalogue
from store.errors import ParameterInvalid, QueryRefused
from tests.analytics.jupyter.cells import cell, completions
from tests.fix_prometheus_history import START

FROM, TO = (datetime.fromtimestamp(START + hours * 3600, UTC).isoformat() for hours in (1, 3))


@pytest.fixture
def prometheus(lab, past, monkeypatch):
    """The shell, whose settings name the server."""
    monkeypatch.setenv("GAUGEBOOK_PROMETHEUS_URL", past.url)
    catalogue.forget()
    return lab


def test_an_expression_gets_a_step_of_its_own(prometheus):
    nothing, said = cell(prometheus, f"%%promql depth --start {FROM} --end {TO}\nsum by (vhost) (t_walk)")
    assert nothing is None
    frame = prometheus.user_ns["depth"]
    assert said == f"depth: {len(frame)} rows x 3 columns (vhost, ds, y)\n"
    assert len(frame) == 2 * 3600 // 29 + 1  # two hours by 250 is 29 s


def test_a_selector_gives_samples_and_a_step_its_values(prometheus):
    raw, _ = cell(prometheus, f'%%promql --start 2h --end {TO}\nt_walk{{queue="q1"}}')
    assert len(raw) == 121
    stepped, _ = cell(prometheus, f'%%promql --start 2h --end {TO} --step 30m --as pandas\nt_walk{{queue="q1"}}')
    assert isinstance(stepped, pd.DataFrame)
    assert len(stepped) == 5


def test_one_moment(prometheus):
    frame, _ = cell(prometheus, f"%%promql --at {TO}\ncount(t_walk)")
    assert frame["y"].to_list() == [7.0]


def test_errors_point_at_the_place_and_at_the_way_out(prometheus):
    error, _ = cell(prometheus, f"%%promql --start {FROM} --end {TO}\nsum(rate(t_walk[5m])")
    assert isinstance(error, QueryRefused)
    assert error.shown.splitlines()[-1].strip() == "^"
    assert error._render_traceback_() == [f"QueryRefused: {error}"]
    error, _ = cell(prometheus, "%promql")
    assert isinstance(error, ParameterInvalid)
    assert "below %%promql" in str(error)


@pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")
def test_metrics_labels_and_their_values_are_completed(prometheus, past):
    assert {"t_walk"} <= completions(prometheus, "%%promql\nsum by (queue) (t_w|")
    assert "rate" in completions(prometheus, "%%promql\nra|")
    assert "t_counted_total" in completions(prometheus, f"%%promql --url {past.url}\nt_coun|")
    assert completions(prometheus, "%%promql\nt_walk{que|") == {"queue"}
    assert completions(prometheus, '%%promql\nt_walk{queue="q|') == {f"q{n}" for n in range(6)}
    assert "--step" in completions(prometheus, "%%promql depth --st|\nup")
