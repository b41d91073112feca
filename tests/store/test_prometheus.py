"""The snapshot of a real Prometheus beside a backup."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from store.errors import BackupError
from store.prometheus import snapshot
from tests.fix_prometheus import Prometheus, wait_until
from tests.servers import free_port, need


@contextmanager
def administered(tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus with its admin API on and some samples of its own."""
    program, port = need("prometheus", package="prometheus"), free_port()
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    )
    arguments = (f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *arguments, f"--web.listen-address=127.0.0.1:{port}", "--web.enable-admin-api"],
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or samples(url))
        yield url
    finally:
        process.terminate()
        process.wait(30)


def samples(url: str) -> bool:
    with suppress(httpx2.HTTPError, ValueError):  # while it starts it answers in plain words
        return answer(url, "up == 1")
    return False


def answer(url: str, expression: str) -> bool:
    body = httpx2.get(f"{url}/api/v1/query", params={"query": expression}, trust_env=False).json()
    return bool(body["data"]["result"])


def blocks(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if (path / "meta.json").exists()}


def test_a_snapshot_is_copied_and_what_was_copied_before_is_linked(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    with administered(tmp_path) as url:
        assert snapshot(url, first) == f"Prometheus' snapshot is in {first}"
        assert len(blocks(first)) == 1
        assert first.stat().st_mode & 0o077 == 0
        assert not any((tmp_path / "data/snapshots").iterdir())
    # A block of the server itself, as it writes one every two hours and finds at its start.
    (block,) = first.iterdir()
    subprocess.run(["cp", "-a", block, tmp_path / "data"], check=True)
    with administered(tmp_path) as url:
        snapshot(url, second, [first, tmp_path / "none"])
    assert block.name in blocks(second)
    assert (second / block.name / "index").samefile(first / block.name / "index")


def test_an_admin_api_that_is_off_says_how_to_turn_it_on(prometheus: Prometheus, tmp_path: Path):
    with pytest.raises(
        BackupError, match=r"admin APIs disabled; start it with --web.enable-admin-api\. The database's own"
    ):
        snapshot(prometheus.url, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_server_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(BackupError, match=r"Prometheus at http://127\.0\.0\.1:1"):
        snapshot("http://127.0.0.1:1", tmp_path / "new")
