"""Reports by e-mail, to a real SMTP server with TLS."""

from __future__ import annotations

import re
import ssl
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from pipelines.delivery import mail
from pipelines.delivery.parcel import Parcel
from pipelines.delivery.wanted import Email
from store.errors import DeliveryError, DeliveryRefused
from tests.certificates import Authority
from tests.servers import free_port

PASSWORD = "canary-of-mail-7f3a"


class Inbox:
    """Keeps what it gets, and refuses some."""

    def __init__(self):
        self.got, self.refused, self.logins = [], {}, []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        secured = session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.got.append((secured, list(envelope.rcpt_tos), message))
        return "250 OK"

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.server = made.sign("mail")
    return made


@pytest.fixture
def inbox(request, authority):
    """A server with STARTTLS and a login, or with TLS from the start where the parameter says `tls`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.server)
    kept = Inbox()
    implicit = getattr(request, "param", "starttls") == "tls"
    given = {"ssl_context": context} if implicit else {"tls_context": context, "require_starttls": True}
    kept.port = free_port()
    controller = Controller(
        kept,
        hostname="127.0.0.1",
        port=kept.port,
        auth_required=not implicit,  # it does not know that it speaks TLS already
        auth_require_tls=not implicit,
        authenticator=kept.authenticate,
        **given,
    )
    controller.start()
    yield kept
    controller.stop()


@pytest.fixture
def email(inbox, authority, monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)

    def made(**more):
        return Email.model_validate(
            {
                "to": "email",
                "addresses": ["a@example.com", "b@example.com"],
                "sender": "reports@example.com",
                "server": "localhost",
                "port": inbox.port,
                "security": "starttls",
                "user": "gaugebook",
                "password": {"env": "MAIL_PASSWORD"},
                "ca": str(authority.ca),
                **more,
            }
        )

    return made


def test_a_letter_with_pictures_text_and_pdf(inbox, email, good_run):
    state = {}
    wanted = email(pdf=True, link="https://reports.example.com/")
    mail.send(wanted, Parcel(good_run), state)
    ((secured, addresses, message),) = inbox.got
    assert secured
    assert addresses == ["a@example.com", "b@example.com"] == state["sent"]
    assert inbox.logins == [(b"gaugebook", PASSWORD.encode())]
    assert message["Subject"].startswith("A random walk, seen four ways, 20")
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        *["image/png"] * 4,
        "application/pdf",
    ]
    html = message.get_body(("html",)).get_content()
    named = re.findall(r'src="cid:([^"]+)"', html)
    held = {part["Content-ID"].strip("<>"): part.get_content() for part in message.walk() if part["Content-ID"]}
    assert sorted(named) == sorted(held)
    assert len(named) == 4
    assert all(picture.startswith(b"\x89PNG") and len(picture) > 5000 for picture in held.values())
    assert not re.search(r"<script|<button|<style|src=\"(?!cid:)", html)
    assert 'href="https://reports.example.com/walk.html"' in html
    assert "&lt;b&gt;a&amp;b&lt;/b&gt;" in html
    text = message.get_body(("plain",)).get_content()
    assert "Line chart of the position over time" in text
    assert re.search(r"orders +1200 +17\.25", text)
    assert "team: <b>a&b</b>" in text
    (pdf,) = message.iter_attachments()
    assert pdf.get_filename() == "walk.pdf"
    assert pdf.get_content().startswith(b"%PDF-")
    assert PASSWORD not in str(message)
    assert mail.compose(wanted, Parcel(good_run))["Message-ID"] == message["Message-ID"]


@pytest.mark.parametrize("inbox", ["tls"], indirect=True)
def test_tls_from_the_start(inbox, email, good_run):
    mail.send(email(security="tls", pictures=False), Parcel(good_run), {})
    ((secured, _, message),) = inbox.got
    assert secured
    assert "[Line chart of the position over time" in message.get_body(("html",)).get_content()


def test_a_server_that_nobody_vouches_for_gets_nothing(inbox, email, good_run, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(DeliveryError, match="its certificate is not to be trusted"):
        mail.send(email(ca=str(stranger.ca), pictures=False), Parcel(good_run), {})
    assert (inbox.got, inbox.logins) == ([], [])


def test_who_has_it_is_not_sent_it_again(inbox, email, good_run):
    state = {}
    inbox.refused = {"b@example.com": "450 try later"}
    with pytest.raises(DeliveryError, match=r"localhost refuses b@example.com: 450 try later") as caught:
        mail.send(email(pictures=False), Parcel(good_run), state)
    assert not isinstance(caught.value, DeliveryRefused)
    inbox.refused = {}
    mail.send(email(pictures=False), Parcel(good_run), state)
    assert [addresses for _, addresses, _ in inbox.got] == [["a@example.com"], ["b@example.com"]]


def test_an_address_that_does_not_exist_is_given_up(inbox, email, good_run):
    inbox.refused = {"a@example.com": "550 no such user", "b@example.com": "550 no such user"}
    with pytest.raises(DeliveryRefused, match="550 no such user"):
        mail.send(email(pictures=False), Parcel(good_run), {})


def test_a_wrong_password_is_told_and_not_shown(inbox, email, good_run, monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", "canary-of-mail-wrong")
    with pytest.raises(DeliveryError, match="localhost: 535") as caught:
        mail.send(email(pictures=False), Parcel(good_run), {})
    assert "canary" not in str(caught.value)


def test_a_password_that_is_not_there(inbox, email, good_run, monkeypatch):
    monkeypatch.delenv("MAIL_PASSWORD")
    with pytest.raises(DeliveryError, match="the variable MAIL_PASSWORD holds no secret; set it where"):
        mail.send(email(pictures=False), Parcel(good_run), {})


def test_nobody_listens(email, good_run):
    with pytest.raises(DeliveryError, match="localhost: Connection refused"):
        mail.send(email(port=free_port(), pictures=False), Parcel(good_run), {})
