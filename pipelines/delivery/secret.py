"""Secrets of deliveries: named in the schedule, read from the environment or a file when needed, shown to nobody."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from store.errors import DeliveryError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WHERE = 'a secret does not belong in a schedule; say where it is: { env = "NAME" } or { file = "/path" }'


class Secret(BaseModel):
    """Where a secret is: `env` names a variable of the environment, `file` a file that holds it alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str | None = None
    file: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_place(cls, given: Any) -> Any:
        # Whatever else it is may be the secret itself, so no message repeats it.
        if not isinstance(given, dict | Secret):
            raise PydanticCustomError("secret", _WHERE)
        return given

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        named = self.env is not None and _NAME.fullmatch(self.env)
        located = self.file is not None and Path(self.file).is_absolute()
        if bool(named) == bool(located) or (self.env is not None and self.file is not None):
            raise PydanticCustomError("secret", _WHERE)
        return self


class Secrets:
    """Reads secrets, and takes those that it has read out of what is written down."""

    def __init__(self) -> None:
        self._read: set[str] = set()

    def read(self, place: Secret) -> str:
        """The secret, without the line end that a file may have.

        Raises:
            DeliveryError: it is not there, or is empty.
        """
        where = f"the variable {place.env}" if place.env else f"the file {place.file}"
        try:
            value = os.environ.get(place.env, "") if place.env else Path(str(place.file)).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DeliveryError(f"{where} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from None
        value = value.strip()
        if not value:
            raise DeliveryError(f"{where} holds no secret; set it where `gaugebook tick` runs")
        self._read.add(value)
        return value

    def hide(self, text: str) -> str:
        """The text without any of the secrets.

        >>> import os
        >>> secrets = Secrets()
        >>> os.environ["EXAMPLE"] = "a b/c"
        >>> secrets.hide("no " + secrets.read(Secret(env="EXAMPLE")) + ", no a%20b/c")
        'no ***, no ***'
        """
        for secret in sorted(self._read, key=len, reverse=True):
            for form in (secret, quote(secret), quote(secret, safe="")):
                text = text.replace(form, "***")
        return text
