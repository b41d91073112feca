"""The tree of errors: every one of them prints, pickles and stands in the drawing."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from store import errors

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", CLASSES)
def test_pickles_and_prints_the_same(cls):
    words = {"present": ("a", "b"), "known": ("a", "b")}
    own = inspect.isfunction(cls.__init__)  # the others take any words
    parameters = [name for name in inspect.signature(cls.__init__).parameters if name != "self"] if own else ["words"]
    error = cls(*(words.get(name, name) for name in parameters))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_drawing_shows_the_tree():
    drawn: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if not (found := re.search(r"[A-Z]\w+(?=\s|$)", line)) or "Every" in line:
            continue
        while path and path[-1][0] >= found.start():
            path.pop()
        drawn[found[0]] = path[-1][1] if path else "Exception"
        path.append((found.start(), found[0]))
    assert drawn == {cls.__name__: cls.__base__.__name__ for cls in CLASSES}


def test_a_close_name_is_offered():
    assert "did you mean 'messages'" in str(errors.ColumnMissing("mesages", ["messages", "queue"]))
    assert "there are 'a', 'b'" in str(errors.UnknownName("query", "zzz", ["a", "b"]))
