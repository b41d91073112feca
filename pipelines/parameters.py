"""The parameters of a report: read from the notebook's `parameters` cell, and checked before anything runs."""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pipelines.notebooks import cells
from store.errors import FileUnusable, ParameterInvalid

type_names = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
_RANGE = re.compile(r"\((-?[\d_.]+) to (-?[\d_.]+)\)")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

Value = int | float | str | bool | None


@dataclass(frozen=True)
class Parameter:
    """One parameter: `days: int = 30  # days to cover (1 to 400)`.

    `kind` is int, float, str or bool; `low` and `high` come from "(1 to 400)" in the comment, `choices` from a Literal.
    """

    name: str
    kind: str
    default: Value
    optional: bool = False
    help: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def read(self, given: object) -> Value:
        """`given` as this parameter's type; text is converted, as from a command line.

        Raises:
            ParameterInvalid: it does not fit; says what was expected.
        """
        if self.optional and (given is None or given in ("", "none", "None")):
            return None
        value = _convert(self.kind, given)
        if value is None:
            raise ParameterInvalid(self.name, f"must be {type_names[self.kind]}, not {given!r}")
        if self.choices and value not in self.choices:
            raise ParameterInvalid(self.name, f"must be one of {', '.join(self.choices)}, not {given!r}")
        if self.low is not None and self.high is not None and not self.low <= float(value) <= self.high:
            raise ParameterInvalid(self.name, f"must be from {self.low:g} to {self.high:g}, not {given!r}")
        return value


def declared(notebook: Path) -> dict[str, Parameter]:
    """The parameters that a notebook declares, by name, in their order.

    Raises:
        FileUnusable: the `parameters` cell holds something else than `name: type = literal`.
    """
    text = notebook.read_text(encoding="utf-8")
    cell = next((cell for cell in cells(text) if "parameters" in cell.tags), None)
    if cell is None:
        return {}
    try:
        found = [_parameter(statement, _comments(cell.text)) for statement in ast.parse(cell.text).body]
    except (SyntaxError, ValueError) as error:
        raise FileUnusable(notebook, f"line {cell.line}, the parameters cell: {error}") from error
    return {parameter.name: parameter for parameter in found if parameter is not None}


def check(parameters: Mapping[str, Parameter], given: Mapping[str, object]) -> dict[str, Value]:
    """The given values, each as its parameter's type; what is not given is left to the notebook's default.

    Raises:
        ParameterInvalid: a name that does not exist (names the closest one), or a value that does not fit.
    """
    for name in given:
        if name not in parameters:
            close = get_close_matches(name, parameters, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(parameters) or 'none'}"
            raise ParameterInvalid(name, f"does not exist; {hint}")
    return {name: parameters[name].read(value) for name, value in given.items()}


def split(pairs: Iterable[str]) -> dict[str, str]:
    """`key=value` texts of a command line as a dictionary.

    Raises:
        ParameterInvalid: a pair without `=`, or a name given twice.

    >>> split(["days=7", "team=search=eu"])
    {'days': '7', 'team': 'search=eu'}
    """
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ParameterInvalid(pair, "write it as key=value")
        if name in given:
            raise ParameterInvalid(name, "is given twice")
        given[name] = value
    return given


def _convert(kind: str, given: object) -> Value:
    """The value as `kind`, or None where that is not possible."""
    if kind == "bool":
        return given if isinstance(given, bool) else _WORDS.get(str(given).strip().lower())
    if kind == "str":
        return given if isinstance(given, str) else None
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return None
    if kind == "int" and isinstance(given, float):
        return None
    try:
        value = int(given) if kind == "int" else float(given)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _parameter(statement: ast.stmt, comments: Mapping[int, str]) -> Parameter | None:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return None
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        name, annotation, literal = statement.target.id, ast.unparse(statement.annotation), statement.value
    elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        name, annotation, literal = statement.targets[0].id, "", statement.value
    else:
        raise ValueError(f"{ast.unparse(statement)!r} is not `name: type = literal`")
    default = ast.literal_eval(literal)
    kind, optional, choices = _kind(annotation, default)
    if kind not in type_names:
        raise ValueError(
            f"{name!r} is {kind}; a parameter is int, float, str, bool, Literal of texts, or one of them | None"
        )
    help_text = comments.get(statement.end_lineno or 0, "")
    bounds = _RANGE.search(help_text) if kind in ("int", "float") else None
    low, high = (float(bounds[1]), float(bounds[2])) if bounds else (None, None)
    return Parameter(name, kind, default, optional, help_text, low, high, choices)


def _kind(annotation: str, default: object) -> tuple[str, bool, tuple[str, ...]]:
    if not annotation:
        return ("str", True, ()) if default is None else (type(default).__name__, False, ())
    plain = re.sub(r"\s*\|\s*None$|^None\s*\|\s*", "", annotation)
    optional = plain != annotation or annotation.startswith("Optional[")
    plain = re.sub(r"^Optional\[(.*)\]$", r"\1", plain)
    literal = re.match(r"^(?:typing\.)?Literal\[(.*)\]$", plain)
    if literal:
        values = ast.literal_eval(f"({literal[1]},)")
        return "str", optional, tuple(map(str, values))
    return plain, optional, ()


def _comments(text: str) -> dict[int, str]:
    """The comment of each line that has one."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
