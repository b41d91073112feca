"""What a broker offers, what is made of it, and what `gaugebook doctor` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from collectors.rabbitmq import api, offer
from collectors.rabbitmq.access import access
from collectors.rabbitmq.offer import choose
from pipelines import doctor
from store.errors import SourceError
from store.settings import load
from tests.collectors.rabbitmq.test_access import say, server
from tests.fix_prometheus import wait_until
from tests.fix_rabbitmq import PLUGINS, Broker, Guarded, recording
from tests.servers import free_port

SECRET = "s3cret"
EXPORTER = Path(__file__).parent / "recorded" / "kbudde_1.0_on_3.10.8.prom"


def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_the_plugin_is_found_by_itself(broker: Broker) -> None:
    wait_until(lambda: offer.offer(load(rabbitmq_url=broker.url)).plugins == set(PLUGINS))  # it takes it some seconds
    found = offer.offer(load(rabbitmq_url=broker.url))
    assert (found.choice, found.lacks) == ("native", ())
    assert [plugin.url for plugin in found.prometheus] == [broker.prometheus_url]
    assert found.prometheus[0].user is None  # it does not ask who we are, and is not told
    assert (found.nodes, found.tags) == ((broker.node,), ("administrator",))
    assert found.version
    source = choose(load(rabbitmq_url=broker.url))
    assert source.read().source == "native"
    assert source.where == broker.url.replace("guest:guest@", "")
    source.close()


@pytest.mark.parametrize("wanted", ["native", "management"])
def test_the_source_that_is_named(broker: Broker, wanted: Any) -> None:
    source = choose(load(rabbitmq_url=broker.url, rabbitmq_source=wanted))
    assert source.read().source == wanted
    source.close()


def test_without_the_plugin(broker: Broker) -> None:
    """An address that answers nothing stands for a plugin that is off."""
    settings = load(rabbitmq_url=broker.url, rabbitmq_prometheus_url=nowhere())
    wait_until(lambda: offer.offer(settings).plugins)
    found = offer.offer(settings)
    assert found.choice == "management"
    assert "name its address in GAUGEBOOK_RABBITMQ_PROMETHEUS_URL" in found.lacks[0].advice
    source = choose(settings)
    assert source.read().source == "management"
    source.close()


def test_without_the_management_api(broker: Broker) -> None:
    settings = load(rabbitmq_url=nowhere(), rabbitmq_prometheus_url=f"{broker.prometheus_url}/metrics")
    found = offer.offer(settings)
    assert found.choice == "native"
    assert "rabbitmq-plugins enable rabbitmq_management" in found.lacks[0].advice
    source = choose(settings)
    assert source.read().source == "native"
    source.close()


def test_nobody_is_there() -> None:
    url = nowhere()
    settings = load(rabbitmq_url=url.replace("//", f"//u:{SECRET}@"), rabbitmq_prometheus_url=nowhere())
    assert offer.offer(settings).choice is None
    with pytest.raises(SourceError, match=f"{url}: nobody answers") as caught:
        choose(settings)
    assert caught.value.kind == "down"
    (finding,) = doctor.broker(settings)
    assert (finding.state, finding.advice) == ("absent", "name it in GAUGEBOOK_RABBITMQ_URL")


@pytest.mark.parametrize(
    ("tags", "may", "lack"),
    [
        ("monitoring", True, ""),
        ("management", True, "the right to see nodes and all vhosts (the user has management)"),
        ("", False, "the management API"),
    ],
)
def test_users_with_fewer_rights(broker: Broker, tags: str, may: bool, lack: str) -> None:
    """Who may not see the API is told so, though the plugin would answer to anybody."""
    settings = load(rabbitmq_url=broker.user(f"user-{tags}", tags=tags), rabbitmq_prometheus_url=broker.prometheus_url)
    found = offer.offer(settings)
    assert [one.what.startswith(lack) for one in found.lacks] == ([True] if lack else [])
    assert all("rabbitmqctl set_user_tags USER monitoring" in one.advice for one in found.lacks)
    if may:
        source = choose(settings)
        assert source.read().nodes[0].name == broker.node
        source.close()
    else:
        with pytest.raises(SourceError, match="may not use the management API|refuses the user name") as caught:
            choose(settings)
        assert caught.value.kind == "denied"
        assert SECRET not in str(caught.value)
        assert [finding.state for finding in doctor.broker(settings)] == ["broken"]


def test_a_user_of_one_vhost_who_sees_no_nodes(broker: Broker) -> None:
    """The API alone, asked by a user without the tag `monitoring`: what it tells them is taken."""
    url = broker.user("small", tags="management")
    source = choose(load(rabbitmq_url=url, rabbitmq_source="management"))
    reading = source.read()
    assert (reading.nodes, reading.source) == ([], "management")
    source.close()


def test_a_plugin_that_asks_who_we_are(guarded: Guarded) -> None:
    """All by TLS with a certificate of ours; the plugin's own address is found in what the broker says."""
    cert, key = guarded.client
    settings = load(
        rabbitmq_url=guarded.url.replace("//", "//guest:guest@"),
        rabbitmq_ca=guarded.authority.ca,
        rabbitmq_cert=cert,
        rabbitmq_key=key,
    )
    found = offer.offer(settings)
    assert (found.choice, found.lacks) == ("native", ())
    assert [plugin.url for plugin in found.prometheus] == [guarded.prometheus_url]
    source = choose(settings)
    assert source.read().links == []
    source.close()
    findings = doctor.broker(settings)
    assert [finding.state for finding in findings] == ["ok", "broken"]  # its certificate is about to end
    assert "asked by way of the Prometheus plugin" in findings[0].found


def test_a_token_is_told_where_it_is_asked_for() -> None:
    """Releases since 3.11.28 can want it for the plugin, too."""
    heard = []

    def answer(handler: Any) -> None:
        heard.append(handler.headers["Authorization"])
        say(handler, 200 if heard[-1] else 401, b"rabbitmq_identity_info 1\n")

    with server(answer) as url:
        plugin = offer._plugin(access("http://127.0.0.1:1", token=SECRET), url, offer.PROBE)
    assert heard == [None, f"Bearer {SECRET}"]
    assert not isinstance(plugin, SourceError)


def test_where_the_plugins_of_a_cluster_are() -> None:
    listeners = [
        {"node": "rabbit@a", "protocol": "http/prometheus", "port": 15692},
        {"node": "rabbit@b", "protocol": "http/prometheus", "port": 15692},
        {"node": "rabbit@b", "protocol": "https/prometheus", "port": 15691},
        {"node": "rabbit@b", "protocol": "amqp", "port": 5672},
        "nonsense",
    ]
    at = access("http://broker.example:15672")
    found = offer._addresses(at, {"node": "rabbit@a", "listeners": listeners})
    assert found == ["http://broker.example:15692", "https://b:15691"]
    assert offer._addresses(at, {}) == ["http://broker.example:15692"]


@pytest.mark.parametrize(
    ("good", "running", "choice"), [(1, 1, "native"), (1, 2, "management"), (2, 2, "native"), (0, 1, "management")]
)
def test_a_cluster_is_asked_as_a_whole(
    good: int, running: int, choice: str, monkeypatch: pytest.MonkeyPatch, broker: Broker
) -> None:
    """With the plugin of a node missing, the API sees more than the plugins do."""
    nodes = [{"name": f"rabbit@{number}", "running": True, "enabled_plugins": []} for number in range(running)]
    monkeypatch.setattr(offer, "_api", lambda _: ({"cluster_name": "c"}, ("monitoring",), nodes))
    urls = [broker.prometheus_url] * good + [nowhere()] * (running - good)
    assert offer.offer(load(rabbitmq_url=broker.url, rabbitmq_prometheus_url=",".join(urls))).choice == choice


def test_an_exporter(tmp_path: Path) -> None:
    page = EXPORTER.read_bytes()
    with server(lambda handler: say(handler, 200, page)) as url:
        settings = load(rabbitmq_url=nowhere(), rabbitmq_prometheus_url=nowhere(), rabbitmq_exporter_url=url)
        source = choose(settings)
        assert (source.read().source, source.where, source.checks()) == ("kbudde", url, [])
        source.close()
        assert "asked by way of its exporter" in doctor.broker(settings)[0].found
    with pytest.raises(SourceError, match="no address is named: GAUGEBOOK_RABBITMQ_EXPORTER_URL"):
        choose(load(rabbitmq_url=nowhere(), rabbitmq_prometheus_url=nowhere(), rabbitmq_source="kbudde"))


def test_plugins_that_show_links() -> None:
    """Shovels run, and nobody can see it."""
    lacks = list(offer._plugins(None, 1, 1, frozenset({"rabbitmq_shovel", "rabbitmq_federation"})))
    assert [one.advice for one in lacks] == [
        "`rabbitmq-plugins enable rabbitmq_shovel_management`",
        "`rabbitmq-plugins enable rabbitmq_federation_management`",
    ]


def test_a_release_before_the_detailed_endpoint() -> None:
    """3.8: its plugin answers, but not for single queues."""
    answers = {
        "/api/overview": b'{"rabbitmq_version":"3.8.35","cluster_name":"c"}',
        "/api/whoami": b'{"name":"u","tags":"monitoring,policymaker"}',
        "/api/nodes": b'[{"name":"rabbit@a","running":true,"enabled_plugins":["rabbitmq_prometheus"]}]',
        "/api/queues": b'[{"vhost":"/","name":"q","messages":3}]',
        "/metrics": b'rabbitmq_identity_info{rabbitmq_node="rabbit@a"} 1\n',
    }

    def answer(handler: Any) -> None:
        body = answers.get(handler.path.partition("?")[0])
        say(handler, 404 if body is None else 200, body or b"")

    with server(answer) as url:
        settings = load(rabbitmq_url=url, rabbitmq_prometheus_url=url)
        found = offer.offer(settings)
        assert (found.choice, found.tags) == ("management", ("monitoring", "policymaker"))
        assert [one.advice for one in found.lacks] == [offer.OLD]
        source = choose(settings)
        assert [(queue.name, queue.messages) for queue in source.read().queues] == [("q", 3)]
        source.close()


def test_a_release_before_the_detailed_endpoint_and_no_api() -> None:
    """All that the plugin shows of single objects is read, since there is nothing else."""
    names = {"/metrics": "metrics.prom", "/metrics/per-object": "per-object.prom"}
    pages = {path: recording("03-load", name).encode() for path, name in names.items()}

    def answer(handler: Any) -> None:
        page = pages.get(handler.path.partition("?")[0])
        say(handler, 404 if page is None else 200, page or b"")

    with server(answer) as url:
        source = choose(load(rabbitmq_url=nowhere(), rabbitmq_prometheus_url=url))
        reading = source.read(vhosts=lambda vhost: vhost == "tenant-a")
        assert {queue.name: queue.messages for queue in reading.queues} == {"batch": 500, "orders.created": 0}
        (queue,) = source.detail([("tenant-a", "batch")])
        assert (queue.messages, queue.message_bytes) == (500, 25000)
        source.close()


def test_links(guarded: Guarded) -> None:
    broker = guarded.broker
    here = f"amqp://guest:guest@127.0.0.1:{broker.amqp_port}"
    shovel = {"src-uri": here, "src-queue": "from", "dest-uri": here, "dest-queue": "to"}
    broken = {**shovel, "src-uri": f"amqp://127.0.0.1:{free_port()}"}
    with httpx2.Client(base_url=broker.url, trust_env=False, timeout=60) as client, Guard(client) as put:
        put("/api/parameters/shovel/%2F/good", {"value": shovel})
        put("/api/parameters/shovel/%2F/bad", {"value": broken})
        put("/api/parameters/federation-upstream/%2F/up", {"value": {"uri": here, "exchange": "other"}})
        put("/api/policies/%2F/fed", {"pattern": "^fed$", "definition": {"federation-upstream": "up"}})
        put("/api/exchanges/%2F/fed", {"type": "topic"})
        source = choose(load(rabbitmq_url=broker.url))

        def states() -> dict[str, str]:
            return {f"{link.kind} {link.name}": link.state for link in source.read().links}

        wait_until(lambda: states().get("shovel good") == "running")
        wait_until(lambda: states().get("federation up: exchange fed") == "running")
        assert states().get("shovel bad") != "running"
        assert "guest" not in str(source.read().links)
        source.close()


class Guard:
    """Puts things, and takes them away again."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client, self._paths = client, []

    def __enter__(self) -> Any:
        def put(path: str, body: dict[str, Any]) -> None:
            self._client.put(path, json=body).raise_for_status()
            self._paths.append(path)

        return put

    def __exit__(self, *_: object) -> None:
        for path in reversed(self._paths):
            self._client.delete(path)


def test_links_where_the_plugins_are_off(broker: Broker) -> None:
    source = choose(load(rabbitmq_url=broker.url))
    assert source.read().links == []
    source.close()
    assert api.number(True) == 1
