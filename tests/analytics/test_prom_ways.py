"""What stands between us and the samples: other encodings, histograms, stale markers, damage, little memory, time."""

from __future__ import annotations

import io
import time
import warnings

import numpy as np
import polars as pl
import pytest

from analytics import prom
from analytics.prom import bounds, read, stored
from analytics.prom.checksum import crc32c
from analytics.prom.progress import Progress
from store.errors import ParameterInvalid, SourceError
from tests.collectors.gateways.gateway_server import metrics_server
from tests.fix_prometheus import prometheus_program, serving, wait_until
from tests.fix_prometheus_history import HOURS, KEEP, START, spoiled, write_blocks

END = START + 3600 * HOURS
QUICK = """\
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs:
  - job_name: quick
    static_configs: [{targets: ['127.0.0.1:%d']}]
"""
# A target that says no type is refused since 3.0; Prometheus itself has native histograms to show.
NEWER = """\
    fallback_scrape_protocol: PrometheusText0.0.4
  - job_name: other
    scrape_native_histograms: true
    static_configs: [{targets: ['127.0.0.1:%d']}]
"""


@pytest.fixture
def proxy(past):
    with spoiled(past.url) as spoiler:
        yield spoiler


@pytest.mark.parametrize("status", [400, 404, 405, 500, 501])
def test_without_remote_read_the_samples_are_the_same(proxy, past, status):
    expected = prom.range("t_walk", START, START + 40_000, url=past.url)
    proxy.refuse = {"read": (status, {})}
    assert prom.range("t_walk", START, START + 40_000, url=proxy.url).equals(expected)
    assert "query" in proxy.asked
    at_steps = prom.range("t_walk", START, END, 60, url=past.url)
    assert (
        prom.range("t_walk", START, END, 60, url=proxy.url)
        .sort(at_steps.columns)
        .equals(at_steps.sort(at_steps.columns))
    )


def test_what_a_server_does_not_show_of_itself(proxy, past):
    """Behind a proxy that lets queries through alone, external labels and the lookback are not known."""
    expected = prom.range("t_walk", START, END, url=past.url)
    for hidden in (["status/config"], ["status/config", "status/flags", "status/buildinfo"]):
        proxy.refuse = {name: (404, {}) for name in hidden}
        assert (
            prom.range("t_walk", START, END, url=proxy.url)
            .sort(expected.columns)
            .equals(expected.sort(expected.columns))
        )
        steps = prom.range("t_walk", START, END, 60, url=proxy.url)
        assert steps.select(pl.len(), pl.col("y").sum()).row(0) == prom.range("t_walk", START, END, 60, url=past.url).select(pl.len(), pl.col("y").sum()).row(0)  # fmt: skip


@pytest.mark.parametrize("major", [2, 3])
def test_blocks_that_overlap(tmp_path, major):
    """As after a backfill: the same series in two blocks, some samples in both, some in between."""
    for part in (0, 1):
        points = [(START + 15 * k, str(k)) for k in range(1000) if k % 3 != 2 * part]
        write_blocks(
            tmp_path / "data", [("t_twice", "gauge", [('a="b"', points)]), (f"t_{part}", "gauge", [("", points)])]
        )
    with serving(prometheus_program(major), tmp_path, KEEP) as server:
        frame = prom.range("t_twice", START, START + 15_000, url=server.url)
        assert frame["y"].to_list() == list(range(1000))
        assert frame["ds"].is_sorted()
        assert len(prom.range('{__name__=~"t_.*"}', START, START + 15_000, url=server.url)) == 1000 + 666 + 667


@pytest.fixture(scope="module", params=[2, 3])
def live(request, tmp_path_factory):
    """A server that scrapes a page which tests write, four times a second; the third version stores floats as XOR2."""
    major = request.param
    other = request.getfixturevalue("prometheus_3") if major == 3 else None
    with metrics_server() as target:
        target.page = "t_here 1\nt_gone 2.5\n"
        config = QUICK % target.port + (NEWER % other.port if other else "")
        flags = ("--enable-feature=xor2-encoding,native-histograms",) if major == 3 else ()
        with serving(prometheus_program(major), tmp_path_factory.mktemp("live"), *flags, config=config) as server:
            server.wait_for("count_over_time(t_gone[1m]) > 3")
            yield server, target


def test_a_series_that_ends_is_gone_at_once_and_leaves_no_sample(live, monkeypatch):
    """In chunks that the server still writes to; those of the third version, XOR2, are not XOR: samples are asked for."""
    server, target = live
    monkeypatch.setattr(read, "LONG", 1)
    taken, plain = [], stored.ask_plain
    monkeypatch.setattr(stored, "ask_plain", lambda *arguments: taken.append(1) or plain(*arguments))
    begin = int(time.time()) - 4
    target.page = "t_here 1\n"
    wait_until(lambda: not server.query("t_gone"))
    end = int(time.time()) + 1
    time.sleep(max(0, end + 0.1 - time.time()))
    raw = prom.range('{__name__=~"t_.*"}', begin, end, url=server.url)
    assert bool(taken) == server.version.startswith("3")
    assert raw.group_by("__name__").agg(pl.col("y").unique()).sort("__name__").rows() == [
        ("t_gone", [2.5]),
        ("t_here", [1.0]),
    ]
    assert raw.filter(pl.col("__name__") == "t_gone")["ds"].max() < raw["ds"].max()
    asked = {"query": '{__name__=~"t_.*"}', "start": begin, "end": end, "step": 0.5}
    answer = server.client.get("/api/v1/query_range", params=asked).json()["data"]["result"]
    shown = prom.range('{__name__=~"t_.*"}', begin, end, 0.5, url=server.url)
    for series in answer:
        found = shown.filter(pl.col("__name__") == series["metric"]["__name__"])
        assert found["ds"].dt.timestamp("ms").to_list() == [round(1000 * t) for t, _ in series["values"]]
    assert len(shown) == sum(len(series["values"]) for series in answer) > 0


def test_native_histograms_are_left_out_and_said_so(live):
    server, _ = live
    if server.version.startswith("2"):
        pytest.skip("Prometheus 2.42 has no native histogram to show")
    name = "prometheus_http_request_duration_seconds"
    server.wait_for(f"histogram_count({name}) > 1")
    begin = time.time() - 60
    for step in (None, 0.05, 15):
        with pytest.warns(prom.HistogramsLeftOut, match="histogram_quantile"):
            frame = prom.range(f'{{__name__=~"{name}|prometheus_build_info"}}', begin, step=step, url=server.url)
        assert frame["__name__"].unique().to_list() == ["prometheus_build_info"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not prom.range(f"histogram_count({name})", begin, step=15, url=server.url).is_empty()


@pytest.mark.parametrize("at", [0, 1, 4, 6, 50, 5000, -1])
def test_a_flipped_bit_is_an_error(proxy, at):
    proxy.flip = at
    with pytest.raises(SourceError, match="remote read: .*Try again"):
        prom.range("t_walk", START, END, url=proxy.url)


@pytest.mark.parametrize("left", [0, 1, 3, 100, 7000])
def test_an_answer_that_is_cut_off_is_an_error_or_empty(proxy, left):
    proxy.cut = left
    if left == 0:
        assert prom.range("t_walk", START, END, url=proxy.url).is_empty()
        return
    with pytest.raises(SourceError, match="ends in the middle of a frame"):
        prom.range("t_walk", START, END, url=proxy.url)


def test_plain_samples_that_are_damaged(proxy, monkeypatch):
    monkeypatch.setattr(stored, "ask_chunks", unreadable)
    for proxy.cut in (1, 5, 100):
        with pytest.raises(SourceError, match="remote read: "):
            prom.range("t_walk", START, START + 3600, url=proxy.url)


def test_a_server_that_gives_few_samples_at_once(tmp_path, monkeypatch):
    write_blocks(tmp_path / "data", [("t_few", "gauge", [("", [(START + 15 * k, str(k)) for k in range(2000)])])])
    limits = ("--storage.remote.read-sample-limit=100", "--query.max-samples=300", KEEP)
    with serving(prometheus_program(2), tmp_path, *limits) as server:
        monkeypatch.setattr(stored, "ask_chunks", unreadable)
        assert prom.range("t_few", START, START + 30_000, url=server.url)["y"].to_list() == list(range(2000))
        monkeypatch.setattr(stored, "ask_plain", unreadable)
        assert prom.range("t_few", START, START + 30_000, url=server.url)["y"].to_list() == list(range(2000))
        found = prom.range("t_few + 1", START, START + 15 * 1999, 15, url=server.url)
        assert found["y"].to_list() == list(range(1, 2001))
        with pytest.raises(SourceError, match="too many samples.* Ask for fewer series"):
            prom.range("sum_over_time(t_few[8h])", START + 30_000, START + 30_010, 10, url=server.url)


def unreadable(*_arguments):
    raise stored.Unreadable("for the test")


def test_memory_runs_out_before_it_is_taken(past, monkeypatch):
    monkeypatch.setattr(bounds, "free_bytes", lambda: 100_000)
    with pytest.raises(ParameterInvalid, match="Ask for a shorter span, fewer series or a longer step"):
        prom.range("t_walk", START, END, url=past.url)
    assert bounds.Bound.of(5).limit == 5_000_000


def test_free_memory_is_known():
    assert 1 << 20 < bounds.free_bytes() < 1 << 50


def test_progress_shows_itself_late_and_goes_away(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    to = io.StringIO()
    with Progress(shown=True, to=to) as bar:
        bar.show("10 samples")
        now[0] = 1.9
        bar.show("20 samples", 0.5)
        assert to.getvalue() == ""
        now[0] = 2.5
        bar.show("30 samples", 0.5)
        assert to.getvalue() == f"\rPrometheus [{'=' * 12}{' ' * 12}] 50 % 30 samples, 2 s"
    assert to.getvalue().endswith("\r")
    silent = io.StringIO()
    with Progress(to=silent) as bar:  # no terminal
        now[0] = 99.0
        bar.show("1 sample")
    assert silent.getvalue() == ""


@pytest.mark.parametrize("size", [0, 4, 5, 255, 256, 257, 1000, 4096, 70_001])
def test_checksums(size):
    data = np.random.default_rng(size).integers(0, 256, size + 40, dtype=np.uint8).tobytes()
    expected = slow_crc32c(data[7 : 7 + size])
    assert crc32c(data, [7, 0], [7 + size, 9]) == [expected, slow_crc32c(data[:9])]


def slow_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
