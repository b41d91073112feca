"""A copy of a page, with all that it needs, in a folder or at an address that fsspec knows."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pipelines.delivery.parcel import Parcel
from pipelines.delivery.secret import Secret
from pipelines.delivery.wanted import Bucket, Folder
from pipelines.pages import files, moved_up, replace, usable, write_assets
from store.errors import DeliveryError, FileUnusable, PackageMissing

LIMIT_S = 30.0


class _Place(Protocol):
    def size(self, name: str) -> int | None: ...
    def put(self, name: str, content: bytes) -> None: ...


def to_folder(folder: Folder, parcel: Parcel, state: dict[str, object]) -> None:
    """Copy the page, its assets and its numbers into a folder; the page last, so that it never lacks them.

    Raises:
        DeliveryError: the folder or a file in it cannot be written.
    """
    del state
    try:
        root = usable(Path(folder.path))
        write_assets(root / "assets")
        for name, content in _content(parcel):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            replace(root / name, content)
    except (OSError, FileUnusable) as error:
        raise DeliveryError(str(error)) from error


def to_bucket(bucket: Bucket, parcel: Parcel, state: dict[str, object]) -> None:
    """Copy the same to an address; assets that are there are left alone.

    Raises:
        DeliveryError: the address cannot be used or reached, or does not take it.
    """
    del state
    place = _open(bucket, parcel)
    try:
        for asset in sorted((parcel.folder / "assets").iterdir()):
            content = asset.read_bytes()
            if not asset.name.startswith(".") and place.size(f"assets/{asset.name}") != len(content):
                place.put(f"assets/{asset.name}", content)
        for name, content in _content(parcel):
            place.put(name, content)
    except Exception as error:  # each file system has errors of its own
        raise DeliveryError(f"{type(error).__name__}: {_first_line(error)}") from error


def _content(parcel: Parcel) -> list[tuple[str, bytes]]:
    """What of a run goes with its page, and the page, by name in a folder of reports."""
    own = files(parcel.run)
    beside = [path for path in sorted((parcel.folder / own).glob("*")) if not path.name.startswith(".")]
    page = moved_up(parcel.page.read_text(encoding="utf-8")).encode()
    return [*((f"{own}/{path.name}", path.read_bytes()) for path in beside), (parcel.name, page)]


def _open(bucket: Bucket, parcel: Parcel) -> _Place:
    options = {
        name: parcel.secrets.read(value) if isinstance(value, Secret) else value
        for name, value in bucket.options.items()
    }
    parts = urlsplit(bucket.url)
    try:
        if parts.scheme == "s3":
            return _S3(f"{parts.netloc}{parts.path}", options)
        return _Fsspec(bucket.url, options)
    except ImportError as error:
        raise PackageMissing(f"{parts.scheme}://", str(error.name or parts.scheme), "reports") from error
    except (TypeError, ValueError, OSError) as error:
        raise DeliveryError(f"{type(error).__name__}: {_first_line(error)}") from error


class _S3:
    """Arrow's own S3, which comes with our other packages; it finds credentials where Amazon's tools do."""

    def __init__(self, root: str, options: dict[str, str | int | float | bool]) -> None:
        from pyarrow import fs

        given: dict[str, Any] = {"connect_timeout": LIMIT_S, "request_timeout": LIMIT_S, **options}
        self._fs = fs.S3FileSystem(**given)
        self._root = root

    def size(self, name: str) -> int | None:
        found = self._fs.get_file_info(f"{self._root}/{name}")
        return int(found.size) if found.is_file else None

    def put(self, name: str, content: bytes) -> None:
        with self._fs.open_output_stream(f"{self._root}/{name}", metadata={"Content-Type": _kind(name)}) as out:
            out.write(content)


class _Fsspec:
    def __init__(self, url: str, options: dict[str, str | int | float | bool]) -> None:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # it has no types

        self._fs, self._root = url_to_fs(url, **options)

    def size(self, name: str) -> int | None:
        path = f"{self._root}/{name}"
        return int(self._fs.size(path) or 0) if self._fs.isfile(path) else None

    def put(self, name: str, content: bytes) -> None:
        path = f"{self._root}/{name}"
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(path, content)


def _kind(name: str) -> str:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]
