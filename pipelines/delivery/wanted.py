"""What a schedule may say of deliveries: where a report goes besides its own folder."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pipelines.delivery.secret import Secret

ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
_DELICATE = re.compile(r"key|secret|password|token|credential", re.IGNORECASE)


def loopback(host: str) -> bool:
    """Whether a host is this very machine.

    >>> loopback("localhost"), loopback("127.0.0.2"), loopback("smtp.example.com")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _address(text: str) -> str:
    if not ADDRESS.fullmatch(text):
        raise ValueError("must be an e-mail address such as team@example.com")
    return text


def _without_secrets(text: str) -> str:
    """An address that shows nobody a password: the ledger keeps it."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise PydanticCustomError("secret", "is no address") from None
    if parts.username or parts.password:
        raise PydanticCustomError(
            "secret", 'user and password do not belong in it; url = { env = "NAME" } takes all of it from there'
        )
    if parts.hostname == "hooks.slack.com":
        raise PydanticCustomError(
            "secret", 'this address is a secret of Slack\'s: { to = "slack", webhook = { env = "NAME" } }'
        )
    return text


def _web(text: str) -> str:
    text = _without_secrets(text)
    if not re.match(r"https?://.", text):
        raise ValueError("must begin with https:// or http://")
    return text


def _anywhere(text: str) -> str:
    text = _without_secrets(text)
    if not re.match(r"[a-z][a-z0-9+]*://.", text):
        raise ValueError("must be an address such as s3://reports/weekly")
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(_web)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Folder(_Strict):
    """A copy of the page, with what it needs, in another folder."""

    to: Literal["folder"]
    path: str = Field(min_length=1)

    @property
    def where(self) -> str:
        """What a line about it names."""
        return self.path


class Bucket(_Strict):
    """A copy of the page, with what it needs, at an address that fsspec knows: s3://, gs://, sftp://.

    `options` are those of its file system, secrets among them as { env = "NAME" } or { file = "/path" }.
    """

    to: Literal["bucket"]
    url: Annotated[str, AfterValidator(_anywhere)]
    options: dict[str, Secret | str | int | float | bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _hidden(self) -> Self:
        for name, value in self.options.items():
            if _DELICATE.search(name) and not isinstance(value, Secret | bool):
                raise PydanticCustomError(
                    "secret",
                    'options.{name}: a secret does not belong in a schedule; say where it is: { env = "NAME" } or '
                    '{ file = "/path" }',
                    {"name": name},
                )
        return self

    @property
    def where(self) -> str:
        """What a line about it names."""
        return self.url


class Email(_Strict):
    """A message to people: the report as HTML with its charts as pictures, as plain text, and as PDF on demand.

    `security` by default is none on this machine and STARTTLS to any other, where none is refused.
    """

    to: Literal["email"]
    addresses: list[Address] = Field(min_length=1)
    sender: Address = "gaugebook@localhost"
    server: str = Field("localhost", min_length=1)
    port: int | None = Field(None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] | None = None
    user: str | None = None
    password: Secret | None = None
    ca: str | None = None
    pictures: bool = True
    pdf: bool = False
    link: Url | None = None

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.security == "none" and not loopback(self.server):
            raise ValueError("security: 'none' is for a server on this machine alone")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        return self

    @property
    def secured(self) -> Literal["starttls", "tls", "none"]:
        """How the connection is protected."""
        return self.security or ("none" if loopback(self.server) else "starttls")

    @property
    def where(self) -> str:
        """What a line about it names."""
        return ", ".join(self.addresses)


class Slack(_Strict):
    """A message to a channel: with files, by the `token` of an app; or a link alone, by an incoming `webhook`."""

    to: Literal["slack"]
    channel: str | None = Field(None, pattern=r"^[CGD][A-Z0-9]{2,}$")
    token: Secret | None = None
    webhook: Secret | None = None
    pictures: bool = True
    pdf: bool = False
    link: Url | None = None
    api: Url = "https://slack.com/api"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.token is None) == (self.webhook is None):
            raise ValueError("needs a token, with a channel's id, or a webhook, and not both")
        if self.token is not None and self.channel is None:
            raise ValueError("channel: needs the channel's id, such as C0123456789, where there is a token")
        return self

    @property
    def where(self) -> str:
        """What a line about it names."""
        return f"Slack channel {self.channel}" if self.channel else "Slack"


class Webhook(_Strict):
    """A signed request to a service, by the rules of standardwebhooks.com."""

    to: Literal["webhook"]
    url: Url | Secret
    secret: Secret | None = None
    link: Url | None = None

    @property
    def where(self) -> str:
        """What a line about it names."""
        return self.url if isinstance(self.url, str) else "a webhook"


class Print(_Strict):
    """A PDF and a picture of each chart, beside the page."""

    to: Literal["print"]

    @property
    def where(self) -> str:
        """What a line about it names."""
        return "PDF and pictures"


Delivery = Annotated[Folder | Bucket | Email | Slack | Webhook | Print, Field(discriminator="to")]

# What pydantic calls the kinds of value that one key may have, in the place of a fault.
KINDS = ("function-after[_web(), str]", "Secret")
