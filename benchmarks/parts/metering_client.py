"""One process of the metering benchmark: an `openai` client under one instrumentation, driven by lines of JSON.

    python metering_client.py VARIANT URL

Runs in the environment of a peer too, so it needs nothing but `openai` and the variant. Each line on standard input
names a thing to do; its answer is one line on standard output.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import openai

_spec = spec_from_file_location("metering_variants", Path(__file__).with_name("metering_variants.py"))
assert _spec is not None
assert _spec.loader is not None
variants = module_from_spec(_spec)  # not by sys.path: beside it lies a `requests`
_spec.loader.exec_module(variants)

MODEL = "gpt-4o-mini"
Answer = dict[str, Any]


class Client:
    """The client under `variant`, and what can be asked of it."""

    def __init__(self, variant: Any, url: str) -> None:
        self.variant = variant
        self.api = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=120)
        self.open: list[Any] = []

    def calls(self, prompt: str, count: int) -> Answer:
        """CPU seconds of `count` calls that are not streamed."""
        return self._timed(lambda: self.call(prompt), count)

    def streams(self, prompt: str, count: int) -> Answer:
        """CPU seconds of `count` streams read to their end.

        They ask for their usage, so that every variant and none gets the same events: an answer that is asked has one
        field more in each, which the client itself takes time to read.
        """
        return self._timed(lambda: self.stream(prompt, stream_options={"include_usage": True}), count)

    def alternated(self, prompt: str, way: str, count: int, turn: int, *, whole: bool) -> Answer:
        """CPU seconds that metering adds to one call or stream: the median over `count` pairs of turns of `turn` each.

        Both turns of a pair run in this process, one after the other, so that they differ in nothing but the metering.
        The calling thread counts, or the `whole` process until the rows are written.
        """
        once = {"calls": self.call, "streams": self.stream}[way]
        options = {"stream_options": {"include_usage": True}} if way == "streams" else {}
        clock = time.process_time if whole else time.thread_time
        added = []
        gc.collect()
        for pair in range(count):
            taken = {}
            for on in (True, False) if pair % 2 else (False, True):
                self.variant.metered(on=on)
                begun = clock()
                for _ in range(turn):
                    once(prompt, **options)
                if whole:
                    self.variant.flush()
                taken[on] = clock() - begun
            added.append((taken[True] - taken[False]) / turn)
        self.variant.metered(on=True)
        self.variant.flush()
        return {"added_s": statistics.median(added)}

    def ask(self, prompt: str, *, streamed: bool, usage: bool) -> Answer:
        """What the variant says of one call."""
        if streamed:
            self.stream(prompt, **({"stream_options": {"include_usage": True}} if usage else {}))
        else:
            self.call(prompt)
        self.variant.flush()
        return self.variant.told()

    def memory(self, prompts: list[str], events: int) -> Answer:
        """Bytes per stream, of those that are open after `events` were read of each."""
        self._open(prompts[:5], events)
        self._close()
        gc.collect()
        tracemalloc.start()
        traced, resident = tracemalloc.get_traced_memory()[0], rss()
        self._open(prompts, events)
        gc.collect()
        grown = {"traced": tracemalloc.get_traced_memory()[0] - traced, "resident": rss() - resident}
        tracemalloc.stop()
        self._close()
        return {kind: size / len(prompts) for kind, size in grown.items()}

    def call(self, prompt: str) -> None:
        self.api.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])

    def stream(self, prompt: str, **options: Any) -> None:
        messages = [{"role": "user", "content": prompt}]
        for chunk in self.api.chat.completions.create(model=MODEL, messages=messages, stream=True, **options):
            assert chunk

    def _timed(self, once: Callable[[], None], count: int) -> Answer:
        self.variant.flush()
        gc.collect()
        thread, process = time.thread_time(), time.process_time()
        for _ in range(count):
            once()
        thread = time.thread_time() - thread
        self.variant.flush()
        process = time.process_time() - process
        self.variant.forget()
        return {"thread_s": thread / count, "process_s": process / count}

    def _open(self, prompts: list[str], events: int) -> None:
        for prompt in prompts:
            messages = [{"role": "user", "content": prompt}]
            stream = self.api.chat.completions.create(model=MODEL, messages=messages, stream=True)
            for _, _ in zip(range(events), stream, strict=False):
                pass
            self.open.append(stream)

    def _close(self) -> None:
        while self.open:
            self.open.pop().close()
        self.variant.flush()
        self.variant.forget()


def rss() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main(name: str, url: str) -> None:
    """Answer line by line until the input ends."""
    variant = getattr(variants, name)()
    client = Client(variant, url)
    print(json.dumps({"openai": openai.__version__, "version": variant.version}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(getattr(client, order.pop("do"))(**order)), flush=True)
    variant.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
