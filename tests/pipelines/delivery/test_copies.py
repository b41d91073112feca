"""Copies of pages in folders, at addresses of fsspec, and in a bucket of a real S3 server."""

from __future__ import annotations

import re
import urllib.request

import fsspec
import pytest

from pipelines.delivery import copies
from pipelines.delivery.parcel import Parcel
from pipelines.delivery.wanted import Bucket, Folder
from store.errors import DeliveryError

KEY = "canary-of-s3-9c1e"


def wanted(url, **options):
    return Bucket.model_validate({"to": "bucket", "url": url, "options": options})


def links(page):
    """The files beside it that a page needs or names."""
    found = re.findall(r'(?:src|href)="((?:assets|history)/[^"]+)"', page)
    assert len(found) >= 2 + 4 + 2  # assets, charts, tables
    return found


def test_a_folder_holds_all_that_the_page_names(good_run, tmp_path, browser):
    copies.to_folder(Folder(to="folder", path=str(tmp_path / "www")), Parcel(good_run), {})
    page = tmp_path / "www/walk.html"
    assert all((tmp_path / "www" / name).is_file() for name in links(page.read_text()))
    visit = browser.visit(page)
    assert (visit.plots, visit.failed, visit.outside, visit.console) == (4, [], [], [])


def test_an_address_of_fsspec(good_run):
    copies.to_bucket(wanted("memory://reports/weekly"), Parcel(good_run), {})
    there = fsspec.filesystem("memory")
    page = there.cat("/reports/weekly/walk.html").decode()
    assert all(there.isfile(f"/reports/weekly/{name}") for name in links(page))


@pytest.mark.parametrize("url", ["nosuch://x/y", "file:///proc/nowhere"])
def test_an_address_that_cannot_be_used_is_told(good_run, url):
    with pytest.raises(DeliveryError):
        copies.to_bucket(wanted(url), Parcel(good_run), {})


@pytest.fixture(scope="module")
def s3():
    """A real S3 server with a bucket that everyone may read."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    made = urllib.request.Request(f"http://127.0.0.1:{port}/reports", method="PUT")
    urllib.request.urlopen(made).close()
    yield port
    server.stop()


def test_a_bucket(good_run, s3, monkeypatch):
    monkeypatch.setenv("S3_SECRET", KEY)
    options = {
        "endpoint_override": f"127.0.0.1:{s3}",
        "scheme": "http",
        "region": "us-east-1",
        "access_key": {"env": "S3_SECRET"},
        "secret_key": {"env": "S3_SECRET"},
    }
    bucket = wanted("s3://reports/weekly/", **options)
    copies.to_bucket(bucket, Parcel(good_run), {})
    copies.to_bucket(bucket, Parcel(good_run), {})  # once more is no harm
    with urllib.request.urlopen(f"http://127.0.0.1:{s3}/reports/weekly/walk.html") as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        page = answer.read().decode()
    for name in links(page):
        with urllib.request.urlopen(f"http://127.0.0.1:{s3}/reports/weekly/{name}") as answer:
            assert int(answer.headers["Content-Length"]) > 0


def test_a_bucket_that_is_not_there(good_run, s3):
    options = {"endpoint_override": f"127.0.0.1:{s3}", "scheme": "http", "region": "us-east-1", "anonymous": True}
    with pytest.raises(DeliveryError, match="(?i)bucket"):
        copies.to_bucket(wanted("s3://nothing/weekly", **options), Parcel(good_run), {})
