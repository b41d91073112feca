"""A burst of real calls by the real `openai` client against the simulator, metered by the tap."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from collectors import llm
from pipelines.local_llm import LocalLLM, Reply
from store.errors import SourceError
from store.settings import Settings

MODELS = ("gpt-4o-mini", "gpt-4.1")
TEAMS = (("search", "ranking"), ("support", "assistant"), ("research", "evaluation"))
THREADS = 4
LIMITED_EVERY = 15  # every so many calls one is told to come back later, and is retried
FLUSH_S = 30.0
WHAT = "the burst of LLM calls"


def burst(
    settings: Settings, calls: int = 60, *, progress: Callable[[int, int], None] | None = None, seed: int = 0
) -> int:
    """Make `calls` calls, streaming and not, of two models and three teams, into `metrics.llm_requests`.

    The servers' answers are simulated, the HTTP calls, their timings and the metering are real. The rows are in the
    environment `demo`. A call that is retried is two rows: the refusal and the answer.

    Args:
        settings: names the database, which has to be migrated.
        calls: how many.
        progress: called with (calls done, calls) after each.
        seed: the same seed asks and answers the same; the timings differ.

    Returns:
        The number of rows written.

    Raises:
        SourceError: the openai package is not installed, a call failed, or the rows could not be written.
    """
    try:
        import openai
    except ImportError as error:
        raise SourceError(WHAT, "the openai package is not installed. `pip install 'openai>=3,<4'`") from error

    plan = _plan(calls, seed)
    with LocalLLM(plan, seed=seed) as server:
        tap = llm.install(settings, environment="demo", providers={server.netloc: "openai"})
        try:
            with openai.OpenAI(base_url=server.url, api_key="none") as client, ThreadPoolExecutor(THREADS) as pool:
                waiting = [pool.submit(_call, client, number) for number in range(calls)]
                for done, call in enumerate(as_completed(waiting), start=1):
                    call.result()
                    if progress:
                        progress(done, calls)
            if not tap.flush(FLUSH_S):
                raise SourceError(WHAT, f"the rows could not be written within {FLUSH_S:g} s. `gaugebook doctor`")
            return tap.written
        except openai.OpenAIError as error:
            raise SourceError(WHAT, f"a call failed: {type(error).__name__}") from error
        finally:
            llm.uninstall()


def _call(client: Any, number: int) -> None:
    team, project = TEAMS[number % len(TEAMS)]
    question = {"role": "user", "content": f"question {number}"}
    asked = {"model": MODELS[number % len(MODELS)], "messages": [question], "user": str(number)}
    with llm.attribute(team=team, project=project):
        if number % 3:
            for _ in client.chat.completions.create(**asked, stream=True):
                pass
        else:
            client.chat.completions.create(**asked)


def _plan(calls: int, seed: int) -> Callable[[dict[str, Any], int], Reply]:
    limited = set(range(LIMITED_EVERY // 2, calls, LIMITED_EVERY))

    def plan(request: dict[str, Any], number: int) -> Reply:  # noqa: ARG001 - threads make the order differ
        call = int(request["user"])
        if call in limited:
            limited.discard(call)
            return Reply(status=429, error_type="rate_limit_exceeded", retry_after_s=0.01)
        chosen = random.Random(f"{seed}/{call}")  # noqa: S311 - a simulation
        prompt = chosen.randint(200, 4_000)
        return Reply(
            start_s=chosen.uniform(0.005, 0.02),
            first_token_s=chosen.uniform(0.01, 0.05),
            chunk_s=0.002,
            chunks=chosen.randint(4, 20),
            completion_tokens=chosen.randint(20, 600),
            prompt_tokens=prompt,
            cached_tokens=chosen.choice((0, 0, prompt // 2)),
            usage_nulls=True,
        )

    return plan
