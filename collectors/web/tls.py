"""What a server shows of itself, and whom it asks for the same."""

from __future__ import annotations

import ssl
from pathlib import Path

from store.errors import SettingsError


def server_context(cert: Path | None, key: Path | None, client_ca: Path | None, setting: str) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the certificate `cert`, which `setting` names; none: plain HTTP.

    With `client_ca` clients have to show a certificate that it has signed.

    Raises:
        SettingsError: a file cannot be read, or holds something else.
    """
    variable = f"GAUGEBOOK_{setting.upper()}"
    if cert is None:
        if key or client_ca:
            raise SettingsError(setting, variable, "is needed where there is a key or a CA of clients")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # ssl.SSLError among them, which does not say of which file
        files = ", ".join(str(file) for file in (cert, key, client_ca) if file)
        raise SettingsError(setting, variable, f"{files}: {error.strerror or error}") from error
    return context
