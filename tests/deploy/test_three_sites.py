"""Federation as it is shipped: a Prometheus above three others, each with our rules, and one of them dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry, Gauge

from collectors.exposition import Exposition
from store.settings import load
from tests.deploy.site import DEPLOY, changed, ports, site
from tests.fix_prometheus import Prometheus, prometheus_program, serving, wait_until

DEPTHS = {"berlin": 7.0, "lisbon": 500.0, "oslo": 20_000.0}  # messages of a cluster that has the same name at each
SUM = "sum(cluster:rabbitmq_queue_messages:sum)"
STALE_S = 5  # after which a sample that is no longer scraped is gone; Prometheus' own is five minutes


@dataclass
class Above:
    """The server above, and below it one site after the other."""

    server: Prometheus
    sites: dict[str, Prometheus]
    stops: dict[str, ExitStack]


@pytest.fixture
def above(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Above]:
    with ExitStack() as stack:
        sites, stops = {}, {}
        for name, depth in DEPTHS.items():
            registry = CollectorRegistry()
            Gauge("rabbitmq_cluster_messages", "Depth.", ["cluster"], registry=registry).labels("broker").set(depth)
            page = stack.enter_context(Exposition(load(metrics_port=0), registry))
            own = {"127.0.0.1:9466": f"127.0.0.1:{page.port}", "site: main": f"site: {name}"}
            stops[name] = stack.enter_context(ExitStack())
            folder = tmp_path_factory.mktemp(name)
            sites[name] = stops[name].enter_context(site(2, folder, ports() | own))
        targets = ", ".join(f"127.0.0.1:{one.port}" for one in sites.values())
        config = changed((DEPLOY / "federation.yml").read_text(), {"127.0.0.1:9090": targets})
        folder = tmp_path_factory.mktemp("above")
        lookback = f"--query.lookback-delta={STALE_S}s"
        server = stack.enter_context(serving(prometheus_program(2), folder, lookback, config=config))
        yield Above(server, sites, stops)


def value(server: Prometheus, expression: str) -> float | None:
    found = server.query(expression)
    return float(found[0]["value"][1]) if found else None


@pytest.mark.drill
def test_sums_are_over_all_sites_and_the_one_that_is_dead_is_named(above: Above) -> None:
    server = above.server
    wait_until(lambda: value(server, SUM) == sum(DEPTHS.values()))
    told = server.query("cluster:rabbitmq_queue_messages:sum")
    assert {one["metric"]["site"]: float(one["value"][1]) for one in told} == DEPTHS
    assert {one["metric"]["site"] for one in server.query('up{job="gaugebook-rabbitmq"} == 1')} == set(DEPTHS)
    assert value(server, 'count(up{job="federate"} == 1)') == len(DEPTHS)

    address = f"127.0.0.1:{above.sites['lisbon'].port}"
    above.stops["lisbon"].close()
    wait_until(lambda: value(server, 'count(up{job="federate"} == 0)') == 1)
    assert [one["metric"]["instance"] for one in server.query('up{job="federate"} == 0')] == [address]
    # What it has told last is soon no longer counted: a sum of two sites, and none that stands still.
    wait_until(lambda: value(server, SUM) == DEPTHS["berlin"] + DEPTHS["oslo"])
    assert not server.query('cluster:rabbitmq_queue_messages:sum{site="lisbon"}')
