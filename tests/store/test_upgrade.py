"""A database of an earlier schema comes along with all its rows."""

from __future__ import annotations

import shutil

import pytest

from store.connect import connect
from store.files import sql_folder
from store.migrate import migrate
from store.rollup import refresh
from tests.fix_postgres import BACK_ENDS, empty
from tests.store.test_same_results import REQUESTS, requests

TOTALS = "SELECT sum(requests), sum(errors), sum(cost_usd), sum(ttft_count) FROM metrics.llm_requests_{}"


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_rows_and_rollups_survive_the_second_generation_of_rollups(request, tmp_path, back_end):
    old = tmp_path / "sql"
    shutil.copytree(sql_folder(), old)
    for path in old.glob("*/0[1-9]*.sql"):
        path.unlink()
    rows = requests(5, 400, "r")
    with empty(request, back_end) as settings:
        migrate(settings, folder=old)
        with connect(settings) as connection, connection.cursor() as cursor:
            if back_end != "timescale":
                connection.execute(
                    "CALL metrics.ensure_partitions('metrics.llm_requests', %s)", [[row[0] for row in rows]]
                )
            with cursor.copy(f"COPY metrics.llm_requests ({', '.join(REQUESTS)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        refresh_as_then(settings)
        with connect(settings) as connection:
            before = connection.execute(TOTALS.format("daily")).fetchone()
        assert len(migrate(settings)) > 5
        for _ in range(2):
            with connect(settings) as connection:
                for grain in ("hourly", "daily"):
                    assert connection.execute(TOTALS.format(grain)).fetchone() == before
            refresh(settings)
        assert before[0] == 400


def refresh_as_then(settings):
    with connect(settings, autocommit=True) as connection:
        connection.execute("CALL metrics.refresh_rollups()")
