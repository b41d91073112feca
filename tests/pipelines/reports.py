"""What the tests of reports share."""

from __future__ import annotations

import json
from pathlib import Path

NOTEBOOKS = Path(__file__).parent / "notebooks"


def charts_in(notebook: Path) -> int:
    """How many Plotly charts an executed notebook holds."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return sum("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)
