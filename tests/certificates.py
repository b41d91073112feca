"""Certificates for tests: an authority of our own, what it signs, and tokens signed with a key."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.servers import need

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")  # made in no time


def openssl(*words: str | Path, said: bytes = b"") -> bytes:
    """What the program answers."""
    program = need("openssl", package="openssl")
    return subprocess.run([program, *words], input=said, capture_output=True, check=True).stdout


class Authority:
    """`ca.pem` in `folder`, and certificates that it signs."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder, self.ca, self._key = folder, folder / f"{name}.pem", folder / f"{name}.key"
        openssl(
            *("req", "-x509", *CURVE, "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", self._key, "-out", self.ca),
        )

    def sign(self, name: str, *, days: int = 60) -> tuple[Path, Path]:
        """A certificate for `name`, valid at localhost and 127.0.0.1, and its key."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        asked = openssl("req", *CURVE, "-nodes", "-subj", f"/CN={name}", "-keyout", key)
        names = self.folder / f"{name}.ext"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl(
            *("x509", "-req", "-days", str(days), "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial"),
            *("-extfile", names, "-out", cert),
            said=asked,
        )
        return cert, key


class Issuer:
    """Signs tokens (JWT, RS256). `public` is the file of the key that tells whether it did."""

    def __init__(self, folder: Path) -> None:
        self._key, self.public = folder / "issuer.key", folder / "issuer.pub"
        openssl("genrsa", "-out", self._key, "2048")
        openssl("rsa", "-in", self._key, "-pubout", "-out", self.public)

    def token(self, **claims: Any) -> str:
        """A token for an hour; `claims` are more of what it says."""
        claims = {"exp": int(time.time()) + 3600} | claims
        said = ".".join(map(_part, ({"alg": "RS256", "typ": "JWT", "kid": "tests"}, claims)))
        return f"{said}.{_base64(openssl('dgst', '-sha256', '-sign', self._key, said=said.encode()))}"


def _part(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
