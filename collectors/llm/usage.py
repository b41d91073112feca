"""Token counts as a provider reported them, in one meaning for all providers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What one response used; None: not reported.

    For every provider `input_tokens` include those read from and written to a cache, and `output_tokens` include
    reasoning. The others are parts of these two: `cached_tokens` (read from a cache) and `cache_write_tokens` of the
    input, `cache_write_1h_tokens` (kept for an hour) of the written, `reasoning_tokens` of the output, and the audio
    tokens of the input, of the cached and of the output.
    `web_searches`: searches by the server that are billed per piece.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    input_audio_tokens: int | None = None
    cached_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    web_searches: int | None = None
