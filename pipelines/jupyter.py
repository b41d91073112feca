"""Import Jupyter's libraries without the two seconds that one of them spends on something we never use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SLOW = "rfc3987_syntax"


@contextmanager
def quick_import() -> Iterator[None]:
    """Within it, imports of nbformat, papermill, jupytext and nbconvert take 1 s instead of 3.5 s.

    nbformat imports jsonschema, which, where JupyterLab is installed, compiles a grammar for the format "iri";
    no schema of a notebook uses it, and jsonschema does without when the module cannot be imported.
    """
    seen = _SLOW in sys.modules
    sys.modules.setdefault(_SLOW, None)  # type: ignore[arg-type]  # None makes its import fail
    try:
        yield
    finally:
        if not seen:
            sys.modules.pop(_SLOW, None)
