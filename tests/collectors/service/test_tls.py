"""The service under TLS: who is who, on either side."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx2
import pytest

from collectors.client import Client
from collectors.service.serve import is_loopback
from store.errors import SettingsError, SourceError
from store.settings import Settings
from tests.certificates import Authority
from tests.fix_service import REQUEST, Serving


def test_each_knows_the_other(store: Settings, tmp_path: Path) -> None:
    authority, strangers = Authority(tmp_path), Authority(tmp_path, "strangers")
    cert, key = authority.sign("service")
    given = {"service_cert": cert, "service_cert_key": key, "service_client_ca": authority.ca}
    mine, theirs = authority.sign("client"), strangers.sign("stranger")
    own = {"spool": tmp_path / "spool", "service_keys": tmp_path / "keys"}
    service = Serving(store.model_copy(update=given | own), ca=authority.ca, cert=mine)
    try:
        with Client(service.url, service.token, ca=authority.ca, cert=mine) as client:
            assert client.llm_requests([REQUEST]).accepted == 1
        for ca, shown in ((authority.ca, None), (authority.ca, theirs), (strangers.ca, mine), (None, mine)):
            with Client(service.url, service.token, ca=ca, cert=shown, tries=1) as client:
                with pytest.raises(SourceError) as refused:
                    client.llm_requests([REQUEST])
                assert refused.value.kind == "down"
        with pytest.raises(httpx2.TransportError):
            httpx2.get(service.url.replace("https", "http") + "/healthz", trust_env=False)
        assert service.client.get("/healthz").text == "ok\n"  # and by then those above are closed
        assert len(service.rows()) == 1
    finally:
        service.close()


@pytest.mark.parametrize("wrong", ["absent", "no certificate", "another's key", "a key alone"])
def test_a_certificate_that_cannot_be_used_is_named(store: Settings, tmp_path: Path, wrong: str) -> None:
    authority = Authority(tmp_path)
    (cert, key), (_, other) = authority.sign("one"), authority.sign("other")
    (tmp_path / "text").write_text("no certificate")
    given = {
        "absent": (tmp_path / "absent.pem", None),
        "no certificate": (tmp_path / "text", None),
        "another's key": (cert, other),
        "a key alone": (None, key),
    }[wrong]
    settings = store.model_copy(update=dict(zip(("service_cert", "service_cert_key"), given, strict=True)))
    with pytest.raises(SettingsError, match="GAUGEBOOK_SERVICE_CERT") as refused:
        Serving.alone(settings.model_copy(update={"service_keys": tmp_path / "keys"}))
    assert str(given[0]) in str(refused.value) or given[0] is None


def test_keys_in_plain_http_are_warned_of(
    store: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    caplog.set_level(logging.WARNING)
    own = {"spool": tmp_path / "spool", "service_keys": tmp_path / "keys"}
    Serving(store.model_copy(update=own)).close()
    assert "plain HTTP" not in caplog.text
    Serving(store.model_copy(update=own | {"service_address": "0.0.0.0"})).close()
    assert "plain HTTP" in caplog.text
    assert not is_loopback("::")
