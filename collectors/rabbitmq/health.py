"""The broker's own health checks, and what they say when they fail."""

from __future__ import annotations

import json
from typing import Any

from httpx2 import codes

from collectors.rabbitmq.ask import Ask
from collectors.rabbitmq.reading import Check

# By the name under which a check is shown, of all releases; a release that lacks one answers 404.
# deps/rabbitmq_management/src/rabbit_mgmt_dispatcher.erl, v3.8.10 to v4.3.5. Not asked: port-listener and
# protocol-listener, which want to be told what should be there.
CHECKS = {
    "alarms": "alarms",
    "local_alarms": "local-alarms",
    "certificate_expiration": "certificate-expiration/1/months",
    "virtual_hosts": "virtual-hosts",
    "node_is_quorum_critical": "node-is-quorum-critical",
    "node_is_mirror_sync_critical": "node-is-mirror-sync-critical",  # until 3.13
    "metadata_store_initialized": "metadata-store/initialized",  # since 4.0
    "metadata_store_initialized_with_data": "metadata-store/initialized/with-data",
    "quorum_queues_without_elected_leaders": "quorum-queues-without-elected-leaders/all-vhosts/",  # since 4.1
    "is_in_service": "is-in-service",
    "below_node_connection_limit": "below-node-connection-limit",
    "ready_to_serve_clients": "ready-to-serve-clients",
    "reached_target_cluster_size": "reached-target-cluster-size",
}
BEFORE_38 = {"node": "/api/healthchecks/node"}  # the one there was before 3.8.10; it is costly and deprecated

# What an error of the broker means where it is known. listener_expiring_within of
# rabbit_mgmt_wm_health_check_certificate_expiration.erl, v3.8.10 to v4.3.5: where it finds a certificate that ends and
# the listener has no cacertfile, or where it cannot read a file, it breaks off.
BREAKS_OFF = {
    "certificate_expiration": "the broker breaks off: a certificate ends within a month and its listener has no "
    "cacertfile, or a file of a listener cannot be read"
}

MOST = 500  # characters of a reason


def checks(ask: Ask) -> list[Check]:
    """All checks that the broker has, each 5 ms or less of one node.

    Raises:
        SourceError: nobody answers, not in time, or the credentials are refused.
    """
    found = [check for name, path in CHECKS.items() if (check := _check(ask, name, f"/api/health/checks/{path}"))]
    if found:
        return found
    return [check for name, path in BEFORE_38.items() if (check := _check(ask, name, path))]


def _check(ask: Ask, name: str, path: str) -> Check | None:
    status, body = ask.status(path)
    if status == codes.NOT_FOUND:
        return None
    said = _said(body)
    if status == codes.FORBIDDEN:
        return Check(name, "unknown", "this user may not ask")
    if status == codes.SERVICE_UNAVAILABLE or said.get("status") == "failed":
        return Check(name, "failed", _reason(said))
    if status == codes.INTERNAL_SERVER_ERROR and name in BREAKS_OFF:
        return Check(name, "failed", BREAKS_OFF[name])
    if status == codes.OK:
        return Check(name, "passed")
    return Check(name, "unknown", f"the broker answers with status {status}")


def _said(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _reason(said: dict[str, Any]) -> str:
    """In words, such as `There are alarms in effect in the cluster: memory on rabbit@a`."""
    reason = said.get("reason")
    parts = [str(reason)] if reason else []
    for name, value in said.items():
        if name in ("status", "reason") or not value:
            continue
        if name == "alarms" and isinstance(value, list):
            parts.append(", ".join(f"{each.get('resource')} on {each.get('node')}" for each in map(_object, value)))
        else:
            parts.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    return ": ".join(parts)[:MOST] or "the broker does not say why"


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
