"""A signed request that tells a service of a good run, by the rules of standardwebhooks.com."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time

from pipelines.delivery import http
from pipelines.delivery.parcel import Parcel
from pipelines.delivery.wanted import Webhook
from store.errors import DeliveryError, DeliveryRefused

GONE = 410  # by which a receiver says that it wants no more


def send(webhook: Webhook, parcel: Parcel, state: dict[str, object]) -> None:
    """Tell the service. A receiver that has seen the key before need not do anything.

    Raises:
        DeliveryError: it could not be reached or did not take it.
        DeliveryRefused: it wants no more.
    """
    del state
    key = parcel.key(json.dumps(webhook.model_dump(mode="json")))
    body = json.dumps(content(webhook, parcel), separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": key, "webhook-id": key}
    moment = int(time.time())
    headers["webhook-timestamp"] = str(moment)
    if webhook.secret:
        headers["webhook-signature"] = signature(parcel.secrets.read(webhook.secret), key, moment, body)
    url = webhook.url if isinstance(webhook.url, str) else parcel.secrets.read(webhook.url)
    answer = http.post(url, body, headers)
    if answer.status == GONE:
        raise DeliveryRefused("it answers 410: it wants no more of these")
    if not 200 <= answer.status < 300:
        raise http.refused(answer)


def content(webhook: Webhook, parcel: Parcel) -> dict[str, object]:
    """What the service is told."""
    run = parcel.run
    return {
        "type": "report.ready",
        "timestamp": run.finished_at.isoformat() if run.finished_at else None,
        "data": {
            "run_id": str(run.run_id),
            "report": run.report,
            "job": run.job,
            "slot": run.slot.isoformat(),
            "started_at": run.started_at.isoformat(),
            "title": parcel.title,
            "summary": parcel.summary,
            "page": parcel.name,
            "link": parcel.link(webhook.link),
            "parameters": dict(run.parameters),
            "data_spans": dict(run.data_spans or {}),
        },
    }


def signature(secret: str, key: str, moment: int, body: bytes) -> str:
    """HMAC-SHA256 over key, time and body, such as `v1,<base64>`; a secret `whsec_...` is base64 of its bytes.

    The example is that of the specification.

    >>> signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
    ...           b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    try:
        given = base64.b64decode(secret.removeprefix("whsec_"), validate=True) if secret.startswith("whsec_") else None
    except binascii.Error:
        raise DeliveryError("its secret begins with whsec_ and is no base64 after that") from None
    signed = f"{key}.{moment}.".encode() + body
    digest = hmac.new(given if given is not None else secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
