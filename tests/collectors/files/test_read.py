"""Reading files: formats, quoting, lines that cannot be read, and memory."""

from __future__ import annotations

import csv
import gzip
import io
import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files.lines import MOST_BYTES
from collectors.files.read import Record, open_records
from store.errors import FileUnusable

ROWS = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


def read(path: Path) -> list[Record]:
    with open_records(path) as contents:
        return list(contents.records)


def readable(path: Path) -> list[dict]:
    return [record.values for record in read(path) if record.problem is None]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("f.csv", b"a,b\n1,x\n2,y\n"),
        ("f.csv", b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n2,y"),
        ("f.csv", b'a,b\n"1",x\n2,"y"\n'),
        ("f.csv.gz", gzip.compress(b"a,b\n1,x\n2,y\n", mtime=0)),
        ("f.csv", gzip.compress(b"a,b\n1,x\n2,y\n", mtime=0)),
        ("f.jsonl", b'{"a": "1", "b": "x"}\n\n{"a": "2", "b": "y"}\n'),
        ("f.ndjson.gz", gzip.compress(b'{"a": "1", "b": "x"}\n{"a": "2", "b": "y"}', mtime=0)),
        ("f", b'{"a": "1", "b": "x"}\n{"a": "2", "b": "y"}'),
        ("f", b"a,b\n1,x\n2,y\n"),
    ],
)
def test_formats(tmp_path: Path, name: str, body: bytes) -> None:
    (tmp_path / name).write_bytes(body)
    assert readable(tmp_path / name) == ROWS


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS * 3000), tmp_path / "f.parquet")
    assert readable(tmp_path / "f.parquet") == ROWS * 3000


def test_nested_json_has_dotted_columns(tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").write_text('{"usage": {"prompt_tokens": 1, "details": {"cached": 2}}}')
    assert readable(tmp_path / "f.jsonl") == [{"usage.prompt_tokens": 1, "usage.details.cached": 2}]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"3", "has 1 fields where the header has 2"),
        (b"3,z,3", "has 3 fields"),
        (b"3,\xff", "not UTF-8"),
        (b'"3,z', "not CSV"),
        (b'"3"z,z', "not CSV"),
        (b"3," + b"z" * MOST_BYTES, "longer than 1048576 bytes"),
    ],
)
def test_one_bad_line_costs_one_line(tmp_path: Path, bad: bytes, reason: str) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"a,b\n1,x\n" + bad + b"\n2,y\n")
    first, second, third = read(path)
    assert [first.values, third.values] == ROWS
    assert [first.line, second.line, third.line] == [2, 3, 4]
    assert reason in (second.problem or "")


@pytest.mark.parametrize("bad", [b"{", b"[1]", b"nonsense", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_one_bad_line_of_json(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b'{"a": "1", "b": "x"}\n' + bad + b'\n{"a": "2", "b": "y"}\n')
    assert readable(path) == ROWS
    assert read(path)[1].problem


def test_a_quoted_field_may_run_over_lines(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text('a,b\n1,"two\nlines, ""quoted"""\n2,y\n')
    assert readable(tmp_path / "f.csv") == [{"a": "1", "b": 'two\nlines, "quoted"'}, ROWS[1]]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (os.urandom(50_000).replace(b"\n", b"\0"), "binary"),
        (b"\x7fELF\x02\x01\x01" + bytes(2000), "binary"),
        ("a,b\n1,2\n".encode("utf-16"), "binary"),
        (b"\n\n", "no header"),
        (b"a,a\n1,2\n", "two columns named 'a'"),
        (b"x" * (MOST_BYTES + 5), "no header: the line is longer"),
        (gzip.compress(b"a,b\n" + os.urandom(9000).hex().encode())[:-4000], "broken gzip"),
    ],
)
def test_files_that_are_no_csv(tmp_path: Path, body: bytes, reason: str) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(body)
    with pytest.raises(FileUnusable, match=reason):
        read(path)


@pytest.mark.parametrize("body", [b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"no parquet"])
def test_files_that_are_no_parquet(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "f.parquet"
    path.write_bytes(body)
    with pytest.raises(FileUnusable, match="is not a Parquet file"):
        read(path)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path, "folder"),
        (tmp_path / "none.csv", "no such file"),
        (tmp_path / "pipe", "regular"),
        (Path("a\0b"), "no such file"),
    ):
        with pytest.raises(FileUnusable, match=reason):
            read(path)


def test_a_line_of_200_megabytes_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n1,x\n")
        for _ in range(200):
            file.write(b"z" * 10**6)
        file.write(b"\n2,y\n")
    tracemalloc.start()
    try:
        assert readable(path) == ROWS
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


CELLS = st.text('ab,"\n ', max_size=5)


@given(st.lists(st.tuples(CELLS, CELLS).filter(lambda row: any(cell.strip() for cell in row)), max_size=10))
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("left", "right"), *rows])
    path = tmp_path_factory.mktemp("csv") / "f.csv"
    path.write_text(text.getvalue(), newline="")
    assert readable(path) == [{"left": left, "right": right} for left, right in rows]
