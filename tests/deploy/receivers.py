"""Who is told, on this machine: PagerDuty, Slack, a program, a dead-man's switch and a mail server, as strict as the real ones."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.certificates import Authority
from tests.fix_alertmanager import shipped
from tests.servers import free_port

SECRETS = {
    "pagerduty_key": "0123456789abcdef0123456789abcdef",
    "smtp_password": "canary-of-the-mail-server",
    "program_token": "canary-of-the-program",
    "deadman_token": "canary-of-the-switch",
}
EVENT = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
PAYLOAD = {"summary", "source", "severity", "timestamp", "class", "component", "group", "custom_details"}
MESSAGE = {"channel", "username", "icon_emoji", "icon_url", "link_names", "attachments"}
ATTACHMENT = {
    *("title", "title_link", "pretext", "text", "fallback", "callback_id", "fields", "actions", "image_url"),
    *("thumb_url", "footer", "color", "mrkdwn_in"),
}
WEBHOOK = {
    *("version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels"),
    *("commonAnnotations", "externalURL", "alerts"),
}


@dataclass
class Desk:
    """What came, by who was told, each in the order in which it came; `refused` says what was wrong with the rest."""

    folder: Path
    pagerduty: list[dict[str, Any]] = field(default_factory=list)
    slack: list[dict[str, Any]] = field(default_factory=list)
    program: list[dict[str, Any]] = field(default_factory=list)
    deadman: list[float] = field(default_factory=list)  # when, by the monotonic clock
    mail: list[EmailMessage] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)

    def config(self, **how: Any) -> str:
        """alertmanager.yml as it is shipped, for these receivers."""
        return shipped(self.addresses, **how)

    @property
    def environment(self) -> dict[str, str]:
        """Of an Alertmanager that is to trust the mail server."""
        return {"SSL_CERT_FILE": str(self.folder / "ca.pem")}

    @property
    def people(self) -> int:
        """Notifications that came to people."""
        return len(self.pagerduty) + len(self.slack) + len(self.mail)

    def clear(self) -> None:
        assert not self.refused
        for kept in (self.pagerduty, self.slack, self.program, self.deadman, self.mail):
            kept.clear()


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """Everybody who is told, and the files of their secrets in `folder`."""
    told = Desk(folder)
    authority = Authority(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.sign("mail"))
    inbox = Inbox(told)
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        auth_exclude_mechanism=["LOGIN"],  # it asks for a "User Name", which is not what Alertmanager waits for
        auth_required=True,
        authenticator=inbox.authenticate,
    )
    controller.start()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(told)) as server:
        base = f"http://127.0.0.1:{server.server_port}"
        (folder / "secrets").mkdir()
        for name, secret in {**SECRETS, "slack_url": f"{base}/slack/T0/B0/canary\n"}.items():
            (folder / "secrets" / name).write_text(secret)
        told.addresses = {
            "/etc/prometheus/alertmanager_secrets": str(folder / "secrets"),
            "https://events.pagerduty.com": base,
            "https://hooks.example.com/alerts": f"{base}/program",
            "https://deadman.example.com/gaugebook": f"{base}/deadman",
            "smtp.example.com:587": f"localhost:{controller.port}",
        }
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
            controller.stop()


def take_event(told: Desk, body: dict[str, Any], _: str) -> tuple[int, str]:
    """PagerDuty's Events API v2: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/."""
    payload = body.get("payload") or {}
    wrong = [f"'{name}' is not known" for name in (body.keys() - EVENT) | (payload.keys() - PAYLOAD)]
    if body.get("routing_key") != SECRETS["pagerduty_key"]:
        wrong.append("'routing_key' is invalid")
    if body.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        wrong.append("'event_action' is invalid")
    if not 0 < len(body.get("dedup_key", "")) <= 255:
        wrong.append("'dedup_key' is too long or missing")
    wrong += [f"'{name}' is missing or blank" for name in ("summary", "source", "severity") if not payload.get(name)]
    if len(payload.get("summary", "")) > 1024 or "\n" in payload.get("summary", ""):
        wrong.append("'summary' is no line of 1024 characters at most")
    if payload.get("severity") not in ("critical", "error", "warning", "info"):
        wrong.append("'severity' is invalid")
    if not all(link.get("href", "").startswith("https://") and link.get("text") for link in body.get("links", [])):
        wrong.append("'links' is invalid")
    if len(json.dumps(body)) > 512_000:
        wrong.append("the event is larger than 512 kB")
    if wrong:
        return 400, json.dumps({"status": "invalid event", "message": "Event object is invalid", "errors": wrong})
    told.pagerduty.append(body)
    return 202, json.dumps({"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]})


def take_message(told: Desk, body: dict[str, Any], _: str) -> tuple[int, str]:
    """Slack's incoming webhook: https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments."""
    attachments = body.get("attachments") or [{}]
    unknown = (body.keys() - MESSAGE) | {name for each in attachments for name in each.keys() - ATTACHMENT}
    if unknown:
        return 400, f"invalid_payload {unknown}"
    for each in attachments:
        text = each.get("text", "")
        if not text or not each.get("fallback"):
            return 400, "no_text"
        if len(text) > 8000 or len(each["title"]) > 200 or "\n" in each["title"]:
            return 400, "msg_too_long"
        if not re.fullmatch(r"good|warning|danger|#[0-9a-f]{6}", each["color"]):
            return 400, "invalid_color"
        bare = re.sub(r"<https://[^<>|\s]+\|[^<>|]+>", "", text) + each["title"] + each["fallback"]
        if re.search(r"[<>]", bare):  # <!channel> would call everybody
            return 400, f"invalid_markup {bare}"
    told.slack.append(attachments[0])
    return 200, "ok"


def take_program(told: Desk, body: dict[str, Any], authorization: str) -> tuple[int, str]:
    """A program that takes what Alertmanager posts to a webhook, version 4."""
    if authorization != f"Bearer {SECRETS['program_token']}":
        return 401, "who are you?"
    if body.keys() != WEBHOOK or body["version"] != "4":
        return 400, f"{sorted(body)} is not what version 4 is"
    told.program.append(body)
    return 200, ""


def take_heartbeat(told: Desk, body: dict[str, Any], authorization: str) -> tuple[int, str]:
    """A dead-man's switch: all it wants is to be called in time."""
    if authorization != f"Bearer {SECRETS['deadman_token']}" or body.get("status") != "firing":
        return 401, "who are you?"
    told.deadman.append(time.monotonic())
    return 200, ""


TAKES: dict[str, Callable[[Desk, dict[str, Any], str], tuple[int, str]]] = {
    "/v2/enqueue": take_event,
    "/slack/T0/B0/canary": take_message,
    "/program": take_program,
    "/deadman": take_heartbeat,
}


class Inbox:
    """A mail server's: keeps letters that came encrypted and from somebody who knows the password."""

    def __init__(self, told: Desk) -> None:
        self.told = told

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:
        message = message_from_bytes(bytes(envelope.original_content or b""), policy=policy.default)
        if session.ssl is None or envelope.rcpt_tos != ["oncall@example.com"] or not isinstance(message, EmailMessage):
            self.told.refused.append(f"a letter to {envelope.rcpt_tos}")
            return "554 no"
        self.told.mail.append(message)
        return "250 OK"

    def authenticate(self, _: SMTP, __: Session, ___: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
        right = (data.login, data.password) == (b"alerts", SECRETS["smtp_password"].encode())
        if not right:
            self.told.refused.append(f"{mechanism}: a wrong password")
        return AuthResult(success=right, handled=False)


def _handler(told: Desk) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            take = TAKES.get(self.path)
            if take is None or self.headers["content-type"] != "application/json":
                status, answer = 404, f"{self.path} takes no {self.headers['content-type']}"
            else:
                status, answer = take(told, json.loads(body), self.headers.get("authorization", ""))
            if status >= 400:
                told.refused.append(f"{self.path}: {status} {answer}")
            said = answer.encode()
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
