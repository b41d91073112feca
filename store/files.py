"""Where the `.sql` files are: in the wheel, or beside the packages in a checkout."""

from __future__ import annotations

from pathlib import Path


def sql_folder() -> Path:
    """The folder that holds `common/`, `postgres/`, `timescale/` and `queries/`."""
    shipped = Path(__file__).parent / "_sql"
    return shipped if shipped.is_dir() else Path(__file__).parent.parent / "sql"
