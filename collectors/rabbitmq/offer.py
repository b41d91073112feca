"""What a broker offers, found out by asking it, and the source that makes the best of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from collectors.rabbitmq import api, management
from collectors.rabbitmq.access import Access, from_settings
from collectors.rabbitmq.ask import RIGHTS, Ask, each
from collectors.rabbitmq.kbudde import Kbudde
from collectors.rabbitmq.management import Management
from collectors.rabbitmq.names import version
from collectors.rabbitmq.native import DETAILED, PER_OBJECT, Native
from collectors.rabbitmq.reading import Asked, Source
from store.errors import SourceError
from store.settings import Settings

PROMETHEUS_PORT = 15692
PROBE = f"{DETAILED}?family=connection_churn_metrics"  # the cheapest family of the endpoint that is needed
LISTENERS = {"http/prometheus": "http", "https/prometheus": "https"}
DETAILED_SINCE = (3, 9, 7)
OLD = "RabbitMQ 3.9.7 or later has it; until then the management API is asked"
ENABLE = "`rabbitmq-plugins enable {}`"


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that is not there: what we lose by it, and what to do."""

    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What was found.

    Attributes:
        where: the address that was asked, without credentials.
        ways: of each way to ask, the best first: None where it can be gone, or the error that it ends in.
        version, erlang, cluster: as the management API says.
        tags: of the user, such as `monitoring`.
        nodes: that run.
        plugins: that are enabled on any node; empty where the user may not see them.
        prometheus: the Prometheus plugins that answer, one a node.
        choice: the way that would be gone; None where there is none.
        lacks: what is missing, the worst first.
    """

    where: str
    ways: Mapping[Asked, SourceError | None]
    version: str | None = None
    erlang: str | None = None
    cluster: str | None = None
    tags: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    plugins: frozenset[str] = frozenset()
    prometheus: tuple[Access, ...] = ()
    choice: Asked | None = None
    lacks: tuple[Lack, ...] = ()


def offer(settings: Settings, *, timeout_s: float | None = None) -> Offer:
    """Ask the broker of `settings` for what it has. Looking changes nothing, and costs it some milliseconds.

    Raises:
        SettingsError: the settings contradict each other.
        FileUnusable: a certificate, a key or a secret cannot be read from its file.
        ParameterInvalid: an address is not one.
    """
    access = from_settings(settings, timeout_s=timeout_s)
    said = _api(access)
    overview, tags, nodes = said if isinstance(said, tuple) else ({}, (), [])
    api_error = None if isinstance(said, tuple) else said
    running = tuple(str(node["name"]) for node in nodes if node.get("running") is True and node.get("name"))
    plugins = frozenset(plugin for node in nodes for plugin in node.get("enabled_plugins") or ())
    urls = settings.rabbitmq_prometheus_url or _addresses(access, overview)
    found = [_plugin(access, url, PROBE) for url in urls]
    if not any(isinstance(one, Access) for one in found) and (api_error or settings.rabbitmq_source == "native"):
        found = [_plugin(access, url, PER_OBJECT) for url in urls]  # costs more than the API, which is not to be had
    good = tuple(one for one in found if isinstance(one, Access))
    bad = [one for one in found if isinstance(one, SourceError)]
    ways: dict[Asked, SourceError | None] = {
        "native": None if good else bad[0],
        "management": api_error,
        "kbudde": _exporter(access, settings.rabbitmq_exporter_url),
    }
    # A plugin shows what its own node has: where one does not answer, the management API sees more.
    partly = api_error is None and len(good) < len(running) and settings.rabbitmq_source == "auto"
    # Credentials that are refused are a mistake to be seen, though the plugin may answer to anybody.
    refused = settings.rabbitmq_source == "auto" and api_error is not None and api_error.kind == "denied"
    there = [way for way, error in ways.items() if error is None and settings.rabbitmq_source in (way, "auto")]
    choice = None if refused else next((way for way in there if not (way == "native" and partly)), None)
    release = api.text(overview.get("rabbitmq_version"))
    if release is not None and version(release) < DETAILED_SINCE:
        lacking = [Lack("the plugin's /metrics/detailed, which is asked at a third of the cost", OLD)]
    else:
        lacking = [*_plugins(ways["native"], len(good), len(running), plugins)]
    return Offer(
        access.url,
        ways,
        release,
        api.text(overview.get("erlang_version")),
        management.cluster(overview) if overview else None,
        tags,
        running,
        plugins,
        good,
        choice,
        (*_rights(api_error, tags), *lacking, *_off(overview)),
    )


def choose(settings: Settings) -> Source:
    """The source that `rabbitmq_source` names, or the best that the broker offers: the Prometheus plugins of all its
    nodes, else the management API, else an exporter that is named.

    Raises:
        SourceError: there is none; its `kind` says why.
        SettingsError, FileUnusable, ParameterInvalid: as `offer`.
    """
    found = offer(settings)
    access = from_settings(settings)
    if found.choice == "native":
        whole = settings.rabbitmq_source == "auto"
        return Native([Ask(plugin) for plugin in found.prometheus], Ask(access), whole=whole)
    if found.choice == "management":
        return Management(Ask(access))
    if found.choice == "kbudde" and settings.rabbitmq_exporter_url:
        return Kbudde(Ask(access.at(settings.rabbitmq_exporter_url)))
    wanted = settings.rabbitmq_source
    # Of several that cannot be gone, the management API's error says most: it is asked first.
    raise found.ways["management" if wanted == "auto" else wanted] or SourceError(
        found.where, "nothing answers", "down"
    )


def _api(access: Access) -> tuple[api.Json, tuple[str, ...], list[api.Json]] | SourceError:
    """The overview, the user's tags and the nodes; or why there is none of it."""
    with Ask(access) as ask:
        try:
            overview = api.overview(ask)
            tags = each(lambda: ask.maybe("/api/whoami", dict)) or {}
            nodes = each(lambda: ask.json("/api/nodes?columns=name,running,enabled_plugins", list)) or []
        except SourceError as error:
            return error
    return overview, _tags(tags), nodes


def _plugin(access: Access, url: str, path: str) -> Access | SourceError:
    """The access to a Prometheus plugin that has `path`. It is told who we are only where it asks for that."""
    url = url.rstrip("/").removesuffix("/metrics")
    at = access.at(url)
    error = _probe(at, path)
    if error is not None and error.kind == "denied":
        at = access.at(url, known=True)
        error = _probe(at, path)
    return error or at


def _probe(access: Access, path: str) -> SourceError | None:
    with Ask(access) as ask:
        try:
            page = ask.text(path)
        except SourceError as error:
            return error
    if "rabbitmq_" in page:
        return None
    return SourceError(access.url, "its page is not one of RabbitMQ's Prometheus plugin")


def _exporter(access: Access, url: str | None) -> SourceError | None:
    if url is None:
        return SourceError("rabbitmq_exporter", "no address is named: GAUGEBOOK_RABBITMQ_EXPORTER_URL", "down")
    with Ask(access.at(url)) as ask:
        try:
            Kbudde(ask).read()
        except SourceError as error:
            return error
    return None


def _addresses(access: Access, overview: api.Json) -> list[str]:
    """Where the Prometheus plugins listen, as the broker says, or where they do by default.

    The node that answered is at our address; the others at the host in their name, `rabbit@HOST`.
    """
    here = urlsplit(access.url).hostname or "127.0.0.1"
    found = {}
    listeners = overview.get("listeners")
    for listener in listeners if isinstance(listeners, list) else ():
        scheme = LISTENERS.get(str(listener.get("protocol"))) if isinstance(listener, dict) else None
        if scheme is not None:
            node, port = str(listener.get("node")), listener.get("port")
            host = here if node == overview.get("node") else node.partition("@")[2] or here
            found[node, scheme] = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    for node in {node for node, scheme in found if scheme == "https" and (node, "http") in found}:
        del found[node, "http"]  # it listens twice; one of the two is enough, and that is the one that hides more
    return list(found.values()) or [f"http://{f'[{here}]' if ':' in here else here}:{PROMETHEUS_PORT}"]


def _tags(whoami: api.Json) -> tuple[str, ...]:
    tags = whoami.get("tags")  # a list since 3.9; before, a string with commas
    return tuple(tags.split(",")) if isinstance(tags, str) else tuple(map(str, tags or ()))


def _rights(error: SourceError | None, tags: Sequence[str]) -> Iterator[Lack]:
    if error is not None:
        advice = {
            "down": f"{ENABLE.format('rabbitmq_management')}, or correct GAUGEBOOK_RABBITMQ_URL",
            "denied": RIGHTS,
        }
        yield Lack(
            "the management API, which knows single queues, links and health",
            advice.get(error.kind, "see what it answers"),
        )
    elif not {"monitoring", "administrator"} & set(tags):
        yield Lack(f"the right to see nodes and all vhosts (the user has {', '.join(tags) or 'no tag'})", RIGHTS)


def _plugins(error: SourceError | None, good: int, running: int, plugins: frozenset[str]) -> Iterator[Lack]:
    if error is not None and "rabbitmq_prometheus" in plugins:
        yield Lack(
            f"the Prometheus plugin, which runs, but {error.where} {error.reason}",
            "name its address in GAUGEBOOK_RABBITMQ_PROMETHEUS_URL",
        )
    elif error is not None:
        yield Lack("the Prometheus plugin, which is asked at a third of the cost", ENABLE.format("rabbitmq_prometheus"))
    elif good < running:
        yield Lack(
            f"the Prometheus plugin of {running - good} of {running} nodes",
            f"{ENABLE.format('rabbitmq_prometheus')} there, or name each in GAUGEBOOK_RABBITMQ_PROMETHEUS_URL",
        )
    for kind, plugin in (("shovels", "rabbitmq_shovel"), ("federation links", "rabbitmq_federation")):
        if plugin in plugins and f"{plugin}_management" not in plugins:
            yield Lack(f"the state of {kind}", ENABLE.format(f"{plugin}_management"))


def _off(overview: api.Json) -> Iterator[Lack]:
    if overview and not api.keeps_stats(overview):
        off = "management.disable_stats" if overview.get("disable_stats") else "management.rates_mode = none"
        yield Lack("rates of single queues: the broker keeps no statistics", f"remove {off} from rabbitmq.conf")
