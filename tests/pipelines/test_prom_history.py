"""`gaugebook import prometheus`: rows from what three exporters call a queue's metrics, once each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from analytics import prom
from pipelines import queue_history, queue_metrics
from pipelines.cli import main
from pipelines.queue_history import Copied, copy_history
from store.connect import connect
from store.errors import NoRows, ParameterInvalid, SourceError
from store.read import read
from store.write import write
from tests.fix_prometheus import prometheus_program, serving
from tests.fix_prometheus_history import KEEP, START, write_blocks
from tests.servers import free_port

MINUTES = 400
BEGIN = datetime.fromtimestamp(START, UTC)
END = BEGIN + timedelta(days=1)
KBUDDE = 'cluster="kb",vhost="/",queue="orders",durable="true",policy="",self="1",job="kbudde",instance="{}:9419"'
OURS = 'cluster="own",vhost="/",queue="bills",job="gaugebook",instance="g:9466"'
NATIVE = 'vhost="v",queue="mail",job="native",instance="n{}:15692"'


def points(value, *, step=60, since=0, until=MINUTES, shift=0.0):
    return [(START + shift + step * k, str(value(k))) for k in range(since, until)]


def queues():
    """kbudde tells each queue at two nodes; a native queue moves from one node to another."""
    a, b = KBUDDE.format("a"), KBUDDE.format("b")
    moved = [(NATIVE.format(1), 0, 200), (NATIVE.format(2), 201, MINUTES)]
    yield "rabbitmq_queue_messages", "gauge", [
        (a, points(lambda k: k)), (b, points(lambda k: k, shift=7)), (OURS, points(lambda k: 2 * k)),
    ]  # fmt: skip
    yield (
        "rabbitmq_queue_messages_unacknowledged",
        "gauge",
        [(a, points(lambda k: 1)), (b, points(lambda k: 1, shift=7))],
    )
    yield "rabbitmq_queue_messages_unacked", "gauge", [(OURS, points(lambda k: 2))]
    yield "rabbitmq_queue_consumers", "gauge", [(OURS, points(lambda k: 3))]
    yield "rabbitmq_queue_consumer_utilisation", "gauge", [(OURS, points(lambda k: 0.25)), (a, points(lambda k: "NaN"))]
    yield "rabbitmq_queue_head_message_age_seconds", "gauge", [(OURS, points(lambda k: 4.5))]
    yield "rabbitmq_queue_head_message_timestamp", "gauge", [(a, points(lambda k: START + 60 * k - 90))]
    yield (
        "rabbitmq_queue_messages_published_total",
        "counter",
        [
            (a, points(lambda k: 600 * k)),
            (OURS, points(lambda k: 120 * k if k < 100 else 120 * (k - 100))),  # reset at 100
            (f'{NATIVE.format(1)},channel="<1.2.3>"', points(lambda k: 5 * k)),  # says nothing of the queue
        ],
    )
    yield "rabbitmq_queue_messages_delivered_total", "counter", [
        (a, points(lambda k: 60 * k)), (OURS, points(lambda k: 60 * k)),
    ]  # fmt: skip
    yield "rabbitmq_queue_messages_delivered_noack_total", "counter", [(a, points(lambda k: 120 * k))]
    yield "rabbitmq_queue_messages_ack_total", "counter", [(a, points(lambda k: 60 * k))]
    yield (
        "rabbitmq_detailed_queue_messages",
        "gauge",
        [(labels, points(lambda k: 7, since=s, until=u)) for labels, s, u in moved],
    )
    yield (
        "rabbitmq_detailed_queue_consumer_capacity",
        "gauge",
        [(labels, points(lambda k: 0.5, since=s, until=u)) for labels, s, u in moved],
    )
    yield (
        "rabbitmq_detailed_queue_messages_delivered_ack_total",
        "counter",
        [(labels, points(lambda k: 60 * k, since=s, until=u)) for labels, s, u in moved],
    )
    yield (
        "rabbitmq_detailed_queue_get_total",
        "counter",
        [(labels, points(lambda k: 6 * k, since=s, until=u)) for labels, s, u in moved],
    )
    yield "rabbitmq_detailed_queue_exchange_messages_published_total", "counter", [
        (f'{labels},exchange="{exchange}"', points(lambda k: 30 * k, since=s, until=u))
        for labels, s, u in moved for exchange in ("", "amq.topic")
    ]  # fmt: skip
    yield (
        "rabbitmq_identity_info",
        "gauge",
        [
            (
                f'rabbitmq_cluster="nat",rabbitmq_node="rabbit@n{n}",job="native",instance="n{n}:15692"',
                points(lambda k: 1),
            )
            for n in (1, 2)
        ],
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("queues")
    write_blocks(folder / "data", queues())
    with serving(prometheus_program(2), folder, KEEP) as running:
        yield prom.Server(running.url)


def test_prometheus_3(store, tmp_path):
    write_blocks(tmp_path / "data", queues())
    with serving(prometheus_program(3), tmp_path, KEEP) as running:
        assert copy_history(store, prom.Server(running.url), BEGIN, END).written == 3 * MINUTES - 1


def samples(settings):
    return read(settings, "queue_samples", since=BEGIN - timedelta(days=1), until=END).sort("cluster", "queue", "ts")


def test_rows_of_three_exporters(server, store):
    copied = copy_history(store, server, BEGIN, END)
    found = samples(store)
    assert copied == Copied(samples=copied.samples, rows=len(found), written=len(found))
    assert found.group_by("cluster", "vhost", "queue").len().sort("cluster").rows() == [
        ("kb", "/", "orders", MINUTES), ("nat", "v", "mail", MINUTES - 1), ("own", "/", "bills", MINUTES),
    ]  # fmt: skip
    kb, nat, own = (found.filter(cluster=name) for name in ("kb", "nat", "own"))
    assert kb["ts"].to_list() == [BEGIN + timedelta(minutes=k) for k in range(MINUTES)]
    assert kb["messages"].to_list() == [*range(MINUTES)]
    assert {*kb["messages_unacked"]} == {1}
    assert kb["consumer_utilisation"].null_count() == MINUTES
    assert {*kb["head_age_s"]} == {90.0}
    assert kb["published_total"].to_list() == [600 * k for k in range(MINUTES)]
    assert kb["published_per_s"].to_list() == [None, *[10.0] * (MINUTES - 1)]
    assert kb["delivered_per_s"].to_list() == [None, *[3.0] * (MINUTES - 1)]
    assert kb["acked_per_s"].drop_nulls().to_list() == [1.0] * (MINUTES - 1)
    assert own.select("consumers", "consumer_utilisation", "head_age_s").unique().rows() == [(3, 0.25, 4.5)]
    assert own["published_per_s"].is_null().arg_true().to_list() == [0, 100]
    assert own["delivered_per_s"].is_null().arg_true().to_list() == [0, 100]  # the queue was made anew
    assert nat.select("messages", "consumer_utilisation").unique().rows() == [(7, 0.5)]
    assert nat["published_per_s"].drop_nulls().round(9).unique().to_list() == [1.0]
    assert nat["delivered_per_s"].drop_nulls().round(9).unique().to_list() == [1.1]
    assert nat["published_per_s"].is_null().arg_true().to_list() == [0, 200]  # and where another node took over
    assert {*found["attrs"]} == {'{"source": "prometheus"}'}
    hourly = read(store, "queue_rows", grain="hourly", since=BEGIN, until=END).filter(cluster="kb").sort("bucket")
    assert hourly["avg_published_per_s"].round(9).to_list() == [10.0] * 7


def test_again_and_in_parts_nothing_is_doubled_or_lost(server, store):
    copy_history(store, server, BEGIN + timedelta(minutes=77), BEGIN + timedelta(minutes=200))
    copied = copy_history(store, server, BEGIN, END)
    assert copied.there == 123 * 3
    assert copied.written == copied.rows - copied.there
    first = samples(store)
    again = copy_history(store, server, BEGIN, END)
    assert (again.written, again.there) == (0, copied.rows)
    assert samples(store).equals(first)
    rates = first.filter(cluster="kb")["published_per_s"]
    assert rates.is_null().arg_true().to_list() == [0]  # none is missing where parts meet


def test_what_is_chosen(server, store):
    assert copy_history(store, server, BEGIN, END, match=['job="native"'], dry_run=True).rows == MINUTES - 1
    both = copy_history(store, server, BEGIN, END, match=['{job="native"}', '{queue=~"mail|bills"}'], dry_run=True)
    assert both.rows == 2 * MINUTES - 1
    one = copy_history(store, server, BEGIN, END, match=['rabbitmq_queue_messages{cluster="own"}'])
    assert one.rows == MINUTES
    assert samples(store)["consumers"].null_count() == MINUTES
    with pytest.raises(ParameterInvalid, match="expected a selector"):
        copy_history(store, server, BEGIN, END, match=["rate(up[5m])"])
    with pytest.raises(NoRows, match="asked for queues from 2026-10-31 00:00 UTC on, has no rows"):
        copy_history(store, server, BEGIN, END, match=['job="none"'])


def test_the_rows_of_the_stores_own_collector_stand(server, store):
    """An hour and a half of one queue is there already, sampled at other moments."""
    own = [(BEGIN + timedelta(minutes=100 + k, seconds=20), "own", "/", "bills", 5) for k in range(90)]
    with connect(store) as connection:
        write(connection, "metrics.rabbitmq_queues", ("ts", "cluster", "vhost", "queue", "messages"), own)
    copied = copy_history(store, server, BEGIN, END)
    assert copied.covered == 99  # from five minutes before the first to five after the last
    found = samples(store).filter(cluster="own")
    assert len(found) == 90 + MINUTES - copied.covered
    assert copy_history(store, server, BEGIN, END).written == 0


def test_a_cluster_without_a_name(store, tmp_path):
    write_blocks(tmp_path / "data", [("rabbitmq_queue_messages", "gauge", [(NATIVE.format(1), points(lambda k: k))])])
    with serving(prometheus_program(2), tmp_path, KEEP) as running:
        with pytest.raises(ParameterInvalid, match=r"job 'native', instance 'n1:15692' name no cluster.*--cluster"):
            copy_history(store, prom.Server(running.url), BEGIN, END)
        assert copy_history(store, prom.Server(running.url), BEGIN, END, cluster="east").written == MINUTES
    assert samples(store)["cluster"].unique().to_list() == ["east"]


def test_little_memory_means_shorter_parts(server, store, monkeypatch):
    expected = copy_history(store, server, BEGIN, END, dry_run=True)
    widths = []
    whole = prom.range

    def narrow(query, begin, end, **options):
        widths.append(end - begin)
        if end - begin > timedelta(hours=2):
            raise ParameterInvalid("memory_limit_mb", "for the test")
        return whole(query, begin, end, **options)

    monkeypatch.setattr(queue_history.prom, "range", narrow)
    found = copy_history(store, server, BEGIN, END)
    assert found.rows == expected.rows
    assert len(widths) > 12
    rates = samples(store).filter(cluster="kb")["published_per_s"]
    assert rates.is_null().arg_true().to_list() == [0]


def test_both_back_ends(server, any_store):
    assert copy_history(any_store, server, BEGIN, END).written == 3 * MINUTES - 1
    assert copy_history(any_store, server, BEGIN, END).written == 0


COMMAND = [sys.executable, "-m", "pipelines.cli", "import", "prometheus"]


@pytest.mark.drill
def test_killed_half_way_and_run_again(server, store, tmp_path):
    environment = os.environ | {"GAUGEBOOK_DSN": store.dsn.get_secret_value(), "GAUGEBOOK_HOME": str(tmp_path)}
    words = [*COMMAND, "--url", server.url, "--since", BEGIN.isoformat(), "--until", END.isoformat()]
    program = (
        "import time, sys; from datetime import timedelta; from pipelines import queue_history as q; q.DAY = timedelta(minutes=30);"
        "write = q.write_frame; q.write_frame = lambda *a: (time.sleep(0.2), write(*a))[1];"
        "from pipelines.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words[3:]], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with connect(store) as connection:
            there = connection.execute("SELECT count(*) FROM metrics.rabbitmq_queues").fetchone()[0]
        if there > 100:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    half = len(samples(store))
    assert 0 < half < 3 * MINUTES - 1
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"{3 * MINUTES - 1:,} rows: {3 * MINUTES - 1 - half:,} written, {half:,} were there" in ended.stdout
    found = samples(store)
    assert len(found) == found.select("ts", "cluster", "vhost", "queue").n_unique() == 3 * MINUTES - 1
    assert found.filter(cluster="kb")["published_per_s"].is_null().arg_true().to_list() == [0]


def test_the_command(server, store, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gaugebook", "import", "prometheus", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    span = ("--since", "2026-10-31T00:00Z", "--until", "2026-11-01T00:00Z")
    code, out, err = run("--url", server.url, *span, "--match", '{cluster="own"}', "--dry-run")
    assert (code, out.splitlines()[-1][-8:], err) == (0, "400 rows", "")
    code, out, err = run("--url", server.url, *span, "--match", '{cluster="own"}')
    assert out.endswith("samples are 400 rows: 400 written, 0 were there\n")
    assert run("--url", server.url, "--since", "2026-11-01T00:00Z", "--until", "2026-10-31T00:00Z")[0] == 2
    assert "expected an ISO time such as" in run("--url", server.url, "--since", "yesterday")[2]
    assert "expected NAME=VALUE" in run("--header", "x")[2]
    assert "does not answer" in run("--url", f"http://127.0.0.1:{free_port()}")[2]
    assert "should hold the token" in run("--token-file", str(tmp_path / "none"))[2]


def test_names_are_those_of_the_readers():
    assert queue_metrics.COLUMNS["queue_messages_unacknowledged"] == "messages_unacked"
    assert queue_metrics.COLUMNS["queue_messages_ack_total"] == "acked"
    assert queue_metrics.COLUMNS["queue_head_message_timestamp"] == "head_timestamp"
    assert {"rabbitmq_queue_messages", "rabbitmq_detailed_queue_messages"} <= {*queue_metrics.METRICS}
    empty = queue_metrics.rows(pl.DataFrame(), BEGIN, cluster=None, clusters=pl.DataFrame())
    assert empty.is_empty()


def test_prometheus_that_is_away(store):
    with pytest.raises(SourceError, match="does not answer"):
        copy_history(store, prom.Server(f"http://127.0.0.1:{free_port()}", attempts=1), BEGIN, END)
