"""Reports to Slack and to webhooks: real requests to a service on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import parse_qs

import pytest

from pipelines.delivery import slack, webhook
from pipelines.delivery.parcel import Parcel
from pipelines.delivery.wanted import Slack, Webhook
from store.errors import DeliveryError, DeliveryRefused
from tests.servers import free_port

TOKEN = "xoxb-canary-51d0"


class Workspace:
    """Slack's side of an upload: files that were announced, brought, and shown."""

    def __init__(self, service):
        self._url = service.url
        self.announced, self.brought, self.shown, self.said = {}, {}, [], []
        self.refuse = None
        service.answers = self

    def __call__(self, asked):
        if asked.path.startswith("/upload/"):
            assert "authorization" not in asked.headers
            self.brought[asked.path.removeprefix("/upload/")] = asked.body
            return 200, b"OK"
        if asked.headers["authorization"] != f"Bearer {TOKEN}":
            return self._json(ok=False, error="invalid_auth")
        if self.refuse:
            return self._json(ok=False, error=self.refuse)
        method = asked.path.rsplit("/", 1)[-1]
        if method == "files.getUploadURLExternal":
            given = {name: value[0] for name, value in parse_qs(asked.body.decode()).items()}
            key = f"F{len(self.announced)}"
            self.announced[key] = given
            return self._json(ok=True, upload_url=f"{self._url}/upload/{key}", file_id=key)
        given = json.loads(asked.body)
        if method == "files.completeUploadExternal":
            assert all(
                len(self.brought[one["id"]]) == int(self.announced[one["id"]]["length"]) for one in given["files"]
            )
            self.shown.append(given)
        else:
            assert method == "chat.postMessage"
            self.said.append(given)
        return self._json(ok=True)

    @staticmethod
    def _json(**said):
        return 200, json.dumps(said).encode()


@pytest.fixture
def wanted(service, monkeypatch):
    monkeypatch.setenv("SLACK_TOKEN", TOKEN)

    def made(**more):
        given = {
            "to": "slack",
            "channel": "C0123",
            "token": {"env": "SLACK_TOKEN"},
            "api": f"{service.url}/api",
            **more,
        }
        return Slack.model_validate(given)

    return made


@pytest.mark.drill
def test_charts_and_pdf_go_to_a_channel(service, wanted, good_run):
    workspace = Workspace(service)
    slack.send(wanted(pdf=True, link="https://reports.example.com"), Parcel(good_run), {})
    (shown,) = workspace.shown
    names = [workspace.announced[one["id"]]["filename"] for one in shown["files"]]
    assert names == ["walk.pdf", *(f"walk-figure-{nr}.png" for nr in (1, 2, 3, 4))]
    assert workspace.brought["F0"].startswith(b"%PDF-")
    assert workspace.brought["F1"].startswith(b"\x89PNG")
    assert workspace.announced["F1"]["alt_txt"].startswith("Line chart of the position")
    assert shown["channel_id"] == "C0123"
    first, second = shown["initial_comment"].split("\n")
    assert first.startswith("<https://reports.example.com/walk.html|A random walk, seen four ways, 20")
    assert second == "How far a walker gets in a number of days, by hour and by weekday."


def test_a_message_without_files(service, wanted, good_run):
    workspace = Workspace(service)
    slack.send(wanted(pictures=False), Parcel(good_run), {})
    assert [said["channel"] for said in workspace.said] == ["C0123"]
    assert workspace.announced == {}


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("not_in_channel", "Slack's chat.postMessage says not_in_channel; invite the app to the channel"),
        ("ratelimited", "Slack's chat.postMessage says ratelimited"),
    ],
)
def test_what_slack_refuses_is_told(service, wanted, good_run, reason, says):
    Workspace(service).refuse = reason
    with pytest.raises(DeliveryError, match=says):
        slack.send(wanted(pictures=False), Parcel(good_run), {})


def test_an_incoming_webhook_gets_a_link(service, good_run, monkeypatch):
    monkeypatch.setenv("SLACK_URL", f"{service.url}/services/T0/B0/canary")
    given = {"to": "slack", "webhook": {"env": "SLACK_URL"}, "link": "https://reports.example.com"}
    slack.send(Slack.model_validate(given), Parcel(good_run), {})
    (asked,) = service.asked
    assert asked.path == "/services/T0/B0/canary"
    assert json.loads(asked.body)["text"].startswith("<https://reports.example.com/walk.html|")


@pytest.fixture
def hook(service, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret-canary\n")

    def made(**more):
        given = {"to": "webhook", "url": f"{service.url}/hook", "secret": {"file": str(secret)}, **more}
        return Webhook.model_validate(given)

    return made


def test_a_webhook_is_signed_and_has_one_key_for_all_attempts(service, hook, good_run):
    service.answers = lambda asked: (503, b"busy\nnow") if len(service.asked) == 1 else (204, b"")
    with pytest.raises(DeliveryError, match="it answers 503: busy now"):
        webhook.send(hook(), Parcel(good_run), {})
    webhook.send(hook(), Parcel(good_run), {})
    first, second = service.asked
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == second.headers["webhook-id"]
    moment = second.headers["webhook-timestamp"]
    assert abs(time.time() - int(moment)) < 60
    signed = f"{second.headers['webhook-id']}.{moment}.".encode() + second.body
    expected = base64.b64encode(hmac.new(b"s3cret-canary", signed, hashlib.sha256).digest()).decode()
    assert second.headers["webhook-signature"] == f"v1,{expected}"
    told = json.loads(second.body)
    assert told["type"] == "report.ready"
    assert told["data"]["run_id"] == str(good_run.run_id)
    assert told["data"]["page"] == "walk.html"
    assert told["data"]["title"] == "A random walk, seen four ways"


def test_another_run_or_receiver_has_another_key(hook, good_run, service):
    webhook.send(hook(), Parcel(good_run), {})
    webhook.send(hook(link="https://x.example"), Parcel(good_run), {})
    assert len({asked.headers["idempotency-key"] for asked in service.asked}) == 2


def test_a_redirect_is_not_followed(service, hook, good_run):
    service.answers = lambda asked: (302, b"")
    with pytest.raises(DeliveryError, match="it answers 302"):
        webhook.send(hook(), Parcel(good_run), {})
    assert [asked.path for asked in service.asked] == ["/hook"]


def test_a_receiver_that_wants_no_more_is_given_up(service, hook, good_run):
    service.answers = lambda asked: (410, b"")
    with pytest.raises(DeliveryRefused, match="wants no more"):
        webhook.send(hook(), Parcel(good_run), {})


def test_a_port_where_nobody_listens(hook, good_run):
    with pytest.raises(DeliveryError, match="no connection: .*Connection refused"):
        webhook.send(hook(url=f"http://127.0.0.1:{free_port()}/"), Parcel(good_run), {})
