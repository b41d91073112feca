"""The magics themselves: %gsql, %%gsql, %promql, %%promql, %forecast, %anomalies."""

from __future__ import annotations

import functools
import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from analytics.jupyter.options import Line, assigned, span
from store.errors import GaugebookError, ParameterInvalid

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

NAMES = ("gsql", "promql", "forecast", "anomalies")
CELLS = ("gsql", "promql")
# Of a line: options, then SQL that begins as SQL does.
FREE = re.compile(r"(?is)\s*((?:--\w+(?:=|\s+)\S+\s+)*)((?:select|with|values|table|explain|show)\b.*)")
RAW_SPAN = "1h"
STEPS = 250  # of a PromQL range without a step


def register(shell: InteractiveShell) -> None:
    """Make the magics of this shell."""
    made = Magics(shell)
    for name in NAMES:
        kinds = ("line", "cell") if name in CELLS else ("line",)
        for kind in kinds:
            magic: Any = _short(getattr(made, name))
            shell.register_magic_function(magic, kind, name)


def unregister(shell: InteractiveShell) -> None:
    """Take them out of it."""
    for kind in ("line", "cell"):
        for name in NAMES:
            shell.magics_manager.magics[kind].pop(name, None)


class Magics:
    """The magics of one shell, whose variables they read and write."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def gsql(self, line: str, cell: str | None = None) -> Any:
        """Rows of the store, by a query with a name or by SQL of your own; it reads only.

        %gsql                                    the queries that have a name
        %gsql llm_series grain=hourly by=[team] since=2026-03-01 until=2026-03-08
        %gsql --limit 5 SELECT * FROM metrics.llm_requests_visible

        %%gsql spend --param days=7              spend is the frame; without a name it is shown
        SELECT model, sum(cost_usd) AS cost_usd FROM metrics.llm_requests_hourly
        WHERE bucket > now() - interval '1 day' * :days GROUP BY 1

        --as pandas, --limit 500 (0: all), --timeout 60, --param name=value (several), --url postgresql://…
        A :parameter that is not given is the variable of that name.
        """
        parser = _gsql()
        free = FREE.match(line) if cell is None else None
        if free is not None:
            line, cell = free[1], free[2]
        asked = parser.read(line)
        if cell is not None and cell.strip():
            return self._give(asked.words, self._rows(asked, cell))
        if not asked.words:
            return _queries()
        from store.queries import named

        name, *pairs = asked.words
        return self._rows(asked, named(name).text, assigned(pairs))

    def promql(self, line: str, cell: str | None = None) -> Any:
        """Samples of Prometheus over a span, as a frame.

        %promql up
        %%promql depth --start 6h --step 1m
        sum by (queue) (rabbitmq_queue_messages)

        --start 6h (a duration before --end, or an ISO time), --end, --step 1m, --at (one moment), --as pandas,
        --url http://prometheus:9090. Without --step a selector gives the samples as they were scraped.
        """
        asked = _promql().read("" if cell is None else line)
        query = (line if cell is None else cell).strip()
        if not query:
            raise ParameterInvalid("query", "is missing; write PromQL after %promql, or below %%promql")
        from analytics import prom

        url = asked.url or _prometheus()
        if asked.at is not None:
            frame = prom.instant(query, span(asked.at), url=url, as_=asked.kind)
        else:
            frame = _range(query, asked, url)
        return self._give(asked.words, frame)

    def forecast(self, line: str) -> Any:
        """A forecast of a frame in a variable, or of a measure of the store.

        %forecast requests 24            the frame `requests` if there is such a variable, 24 steps
        %forecast cost_usd 7d --by team  hourly cost by team, a week ahead
        %forecast messages 1d            depth of each queue

        --days 30 of the past, --unit USD, --level 80,95, --depth (values that do not add up), --id, --time, --target
        (names of columns). The result is the value of the line: ahead = %forecast cost_usd
        """
        parser = _series("forecast")
        parser.add_argument("horizon", nargs="?")
        parser.add_argument("--level", default="80,95")
        parser.add_argument("--depth", action="store_true")
        asked = parser.read(line)
        from analytics import forecast, load
        from analytics.jupyter.series import chosen, steps

        frame, told = chosen(asked, self.shell.user_ns)
        adds = not (asked.depth or (asked.what not in self.shell.user_ns and asked.what in load.QUEUE_VALUES))
        try:
            level = [float(one) for one in asked.level.split(",")]
        except ValueError:
            raise ParameterInvalid("level", f"expected per cent such as 80,95, got {asked.level!r}") from None
        return forecast(frame, steps(frame, asked.horizon, asked.time), level, additive=adds, **told)

    def anomalies(self, line: str) -> Any:
        """What does not fit in a frame in a variable, or in a measure of the store.

        %anomalies requests              the frame `requests` if there is such a variable
        %anomalies cost_usd --by team --days 30

        --rate 0.001 (false alarms a point), --days, --unit, --by, --id, --time, --target as %forecast has them.
        """
        parser = _series("anomalies")
        parser.add_argument("--rate", type=float, default=1e-3)
        asked = parser.read(line)
        from analytics import anomalies
        from analytics.jupyter.series import chosen

        frame, told = chosen(asked, self.shell.user_ns)
        return anomalies(frame, asked.rate, **told)

    def _rows(self, asked: Namespace, text: str, parameters: Mapping[str, object] | None = None) -> Any:
        from analytics.frames import native
        from analytics.jupyter.database import ask
        from analytics.jupyter.statement import Statement
        from store.settings import load

        statement = Statement(text.strip().removesuffix(";").rstrip())
        given = {**assigned(asked.param), **(parameters or {})}
        values = statement.values(given, self.shell.user_ns)
        settings = load() if asked.url is None else load(dsn=asked.url, dsn_read=None)
        limit = asked.limit or None
        answer = ask(settings, statement, values, limit=limit, timeout_s=asked.timeout)
        if answer.more:
            print(f"the first {asked.limit:,} rows; there are more, and --limit 0 gives all of them")
        return native(answer.frame, asked.kind)

    def _give(self, words: list[str], frame: Any) -> Any:
        """Keep the frame under its name and say so; without a name it is the value of the cell."""
        if not words:
            return frame
        if len(words) > 1 or not words[0].isidentifier():
            raise ParameterInvalid(words[-1], "expected one name for the frame, then options that begin with --")
        self.shell.user_ns[words[0]] = frame
        rows, columns = frame.shape
        print(f"{words[0]}: {rows:,} rows x {columns} columns ({', '.join(map(str, frame.columns))})")
        return None


def _gsql() -> Line:
    parser = Line("gsql")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--as", dest="kind", choices=("polars", "pandas"), default="polars")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--url")
    return parser


def _promql() -> Line:
    parser = Line("promql")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--as", dest="kind", choices=("polars", "pandas"), default="polars")
    parser.add_argument("--start", default=RAW_SPAN)
    for name in ("--end", "--step", "--at", "--url"):
        parser.add_argument(name)
    return parser


def _series(magic: str) -> Line:
    parser = Line(magic)
    parser.add_argument("what")
    for name, default in (("--by", None), ("--unit", None), ("--id", "unique_id"), ("--time", "ds"), ("--target", "y")):
        parser.add_argument(name, default=default)
    parser.add_argument("--days", type=float, default=60.0)
    return parser


def options(magic: str) -> list[str]:
    """The options of a magic, for completion.

    >>> options("promql")[:2]
    ['--as', '--start']
    """
    parser = {"gsql": _gsql, "promql": _promql}.get(magic, lambda: _series(magic))()
    own = {"forecast": ["--level", "--depth"], "anomalies": ["--rate"]}.get(magic, [])
    return [action.option_strings[0] for action in parser._actions if action.option_strings] + own


def _range(query: str, asked: Namespace, url: str) -> Any:
    from datetime import UTC, datetime, timedelta

    from analytics import prom
    from analytics.prom.selector import plain
    from analytics.prom.times import span_ms

    start, end = span(asked.start), None if asked.end is None else span(asked.end)
    step: timedelta | str | None = asked.step
    if step is None and plain(query) is None:
        first, last = span_ms(start, end, datetime.now(UTC))
        step = timedelta(seconds=max(15, round((last - first) / 1000 / STEPS)))
    return prom.range(query, start, end, step, url=url, as_=asked.kind)


def _prometheus() -> str:
    from analytics.prom.server import DEFAULT_URL
    from store.settings import load

    return load().prometheus_url or DEFAULT_URL


def _queries() -> Any:
    import polars as pl

    from store.queries import named, names

    rows = [(name, named(name).text.partition("\n")[0].lstrip("- "), named(name).parameters) for name in names()]
    reading = [(name, about, ", ".join(takes)) for name, about, takes in rows if FREE.match(_bare(named(name).text))]
    return pl.DataFrame(reading, schema=["query", "what it gives", "parameters"], orient="row")


def _bare(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def _short(magic: Callable[..., Any]) -> Callable[..., Any]:
    """The magic, whose errors of ours are shown without the thirty lines of IPython that called it."""
    from IPython.core.magic import no_var_expand

    @functools.wraps(magic)
    def call(line: str = "", cell: str | None = None) -> Any:
        try:
            return magic(line) if cell is None else magic(line, cell)
        except GaugebookError as error:
            shown = [f"{type(error).__name__}: {error}"]
            error._render_traceback_ = lambda *_: shown  # type: ignore[attr-defined]  # IPython's hook
            raise

    unexpanded: Callable[..., Any] = no_var_expand(call)  # a {brace} is SQL or PromQL here
    return unexpanded
