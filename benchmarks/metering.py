"""LLM metering beside OpenLLMetry, OpenInference, OpenLIT and OpenTelemetry's own: CPU, memory, accuracy.

    python benchmarks/metering.py [--only cpu] [--rounds 40] [--json FILE]

All meter the `openai` client against a server of known delays and usage, which runs in a process of its own, as each
contender does. The peers' environments are made in a temporary folder from benchmarks/peers/*.txt.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

from benchmarks.parts import metering_accuracy, metering_cpu, metering_memory
from benchmarks.parts.figures import Figure, folder, save, show
from benchmarks.parts.metering_processes import contenders
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import load
from tests.llm_server import LLMServer

PARTS = ("cpu", "memory", "accuracy")


def main() -> None:
    """Measure, print the tables, write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="leave the other parts out")
    parser.add_argument("--rounds", type=int, default=40, help="of the CPU measurements")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    parts = arguments.only or PARTS
    figures: list[Figure] = []
    with ExitStack() as stack:
        home = stack.enter_context(folder())
        database = EmbeddedServer(home)
        database.start()
        stack.callback(database.stop)
        migrate(load(dsn=database.conninfo(), home=home))
        server = stack.enter_context(LLMServer())
        ours = {"GAUGEBOOK_DSN": database.conninfo(), "GAUGEBOOK_HOME": str(home)}
        if "cpu" in parts or "memory" in parts:
            with ExitStack() as processes:
                pairs = contenders(processes, server.url, ours)
                for pair in pairs:
                    print(f"{pair.name} {pair.metered.version}, openai {pair.metered.openai}", file=sys.stderr)
                if "cpu" in parts:
                    figures += metering_cpu.measure(pairs, rounds=arguments.rounds)
                    figures += metering_cpu.alternated(pairs[0].metered)
                if "memory" in parts:
                    figures += metering_memory.measure(pairs)
        if "accuracy" in parts:
            with ExitStack() as processes:
                pairs = contenders(processes, server.url, ours, metrics=True)
                cells = metering_accuracy.measure(pairs, server)
            names = [pair.name for pair in pairs]
            figures += metering_accuracy.figures(cells, names)
            metering_accuracy.show(cells, names)
    print()
    show(figures)
    if arguments.json:
        save(figures, arguments.json)


if __name__ == "__main__":
    main()
