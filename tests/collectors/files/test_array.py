"""JSON arrays: any size and shape, cut off or broken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.files import array
from collectors.files.array import Elements, is_array
from collectors.files.load import load_llm
from collectors.files.read import open_records
from store.errors import FileUnusable
from store.settings import load

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))  # fmt: skip


def elements(path: Path) -> list[Any]:
    with Elements(path) as found:
        return [element for _, element, _ in found]


@settings(max_examples=25, deadline=None)
@given(st.lists(JSON, max_size=5), st.sampled_from([None, 0, 3]), st.integers(1, 20))
def test_any_array_comes_back(
    tmp_path_factory: pytest.TempPathFactory, given_: list[Any], indent: int | None, chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(" " + json.dumps(given_, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8-sig")
    before, array.CHUNK_BYTES = array.CHUNK_BYTES, chunk
    try:
        assert elements(path) == given_
    finally:
        array.CHUNK_BYTES = before
    assert is_array(path) or not path.read_text("utf-8-sig").strip().startswith("[")


def test_an_element_larger_than_a_line_may_be(tmp_path: Path) -> None:
    path = tmp_path / "large.json.gz"
    rows = [{"prompt": "x" * (3 << 20), "n": 1}, {"n": 2}]
    path.write_bytes(gzip.compress(json.dumps(rows).encode()))
    with open_records(path) as contents:
        assert [record.values["n"] for record in contents.records] == [1, 2]
        assert contents.position() == contents.size


@pytest.mark.parametrize("text", ["[", "[1", '[{"a": 1}', '[{"a": 1} {"b": 2}]', "[1,]", '[{"a": }, {"b": 1}]', "[\"\ud800\"".replace("\ud800", "x"), "[" * 5000])  # fmt: skip
def test_a_broken_array_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(FileUnusable, match="broken JSON"):
        elements(path)


def test_what_is_no_object_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "mixed.json"
    path.write_text('[{"ts": "2024-01-01", "input_tokens": 1, "output_tokens": 1}, 7]')
    imported = load_llm(load(), path, dry_run=True)
    assert (imported.rows, imported.written, imported.rejected) == (2, 1, 1)
    assert str(imported.problems[0]) == "line 2: is not a JSON object"
