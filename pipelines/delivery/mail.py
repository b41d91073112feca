"""A report by e-mail over SMTP with TLS."""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from pipelines.delivery import letter
from pipelines.delivery.parcel import Parcel
from pipelines.delivery.wanted import Email
from store.errors import DeliveryError, DeliveryRefused

LIMIT_S = 30.0
PORTS = {"starttls": 587, "tls": 465, "none": 25}
REFUSED = 500  # a server that answers so or higher will not change its mind


def send(email: Email, parcel: Parcel, state: dict[str, object]) -> None:
    """Send the message to each address that has not got it yet.

    Raises:
        DeliveryError: the server could not be reached, is not who it should be, or refuses some address or all.
        DeliveryRefused: it refuses those for good.
        PrintError: it is to have pictures or a PDF and they cannot be made.
    """
    sent = state.get("sent")
    done: list[str] = list(sent) if isinstance(sent, list) else []
    left = [address for address in email.addresses if address not in done]
    message = compose(email, parcel)
    try:
        with _connected(email, parcel) as server:
            refused = _send(server, message, email.sender, left)
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"{email.server}: {_words(error)}") from None
    done += [address for address in left if address not in refused]
    state["sent"] = done
    if refused:
        said = "; ".join(f"{address}: {code} {words}" for address, (code, words) in refused.items())
        final = all(code >= REFUSED for code, _ in refused.values())
        raise (DeliveryRefused if final else DeliveryError)(f"{email.server} refuses {said}")


def compose(email: Email, parcel: Parcel) -> EmailMessage:
    """The message: plain text, HTML with the charts by Content-ID, and the PDF where it is asked for.

    Its Message-ID is that of every attempt, so that who gets it twice may see it once.
    """
    key = parcel.key(json.dumps(email.model_dump(mode="json")))
    prints = parcel.prints() if email.pictures or email.pdf else None
    pictures = prints.pictures if prints and email.pictures else ()
    written = letter.write(parcel, pictures, key, link=parcel.link(email.link))
    message = EmailMessage()
    message["Subject"] = parcel.subject
    message["From"] = email.sender
    message["To"] = ", ".join(email.addresses)
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{key}@gaugebook>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(written.text)
    message.add_alternative(written.html, subtype="html")
    _, shown = message.iter_parts()
    assert isinstance(shown, EmailMessage)
    for picture in (one for one in pictures if letter.content_id(one, key) in written.html):
        shown.add_related(
            picture.file.read_bytes(),
            "image",
            "png",
            cid=f"<{letter.content_id(picture, key)}>",
            filename=f"{picture.name}.png",
            disposition="inline",
        )
    if prints and email.pdf:
        name = f"{parcel.name.removesuffix('.html')}.pdf"
        message.add_attachment(prints.pdf.read_bytes(), "application", "pdf", filename=name)
    return message


@contextmanager
def _connected(email: Email, parcel: Parcel) -> Iterator[smtplib.SMTP]:
    """The server, over TLS whose certificate is valid, and logged in to where there is a user."""
    port = email.port or PORTS[email.secured]
    trust = ssl.create_default_context(cafile=email.ca) if email.secured != "none" else None
    if email.secured == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(email.server, port, timeout=LIMIT_S, context=trust)
    else:
        server = smtplib.SMTP(email.server, port, timeout=LIMIT_S)
    with server:
        if email.secured == "starttls":
            server.starttls(context=trust)
        if email.user and email.password:
            server.login(email.user, parcel.secrets.read(email.password))
        yield server


def _send(
    server: smtplib.SMTP, message: EmailMessage, sender: str, addresses: Sequence[str]
) -> dict[str, tuple[int, str]]:
    """Whom the server refuses, with its code and words."""
    try:
        refused = server.send_message(message, sender, list(addresses))
    except smtplib.SMTPRecipientsRefused as error:  # all of them
        refused = error.recipients
    return {address: (code, words.decode("utf-8", "replace")[:200]) for address, (code, words) in refused.items()}


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    return f"{getattr(error, 'strerror', None) or error}" or type(error).__name__
