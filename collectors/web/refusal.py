"""Why a request, or one span of it, is not taken."""

from __future__ import annotations


class Refusal(Exception):
    """A whole request is refused. The text is for the sender and quotes nothing of what it sent.

    Args:
        status: of the HTTP response; 503 is what senders try again.
        reason: a label of `llm_otlp_refused_total`.
        text: what is wrong, and what to do.
        retry_after_s: seconds after which the sender may try again.
        accept_encoding: the encodings to choose from, where that was the matter.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        text: str,
        *,
        retry_after_s: int | None = None,
        accept_encoding: str | None = None,
    ) -> None:
        super().__init__(status, reason, text)
        self.status, self.reason, self.text = status, reason, text
        self.retry_after_s, self.accept_encoding = retry_after_s, accept_encoding


class Unusable(ValueError):
    """One span or event says something that cannot be; it is refused and the rest goes on."""


def too_many(most: int, what: str) -> Refusal:
    """The body holds more than `most` of `what`."""
    return Refusal(413, "too_many", f"more than {most:,} {what} in one request; send smaller batches")


def malformed(text: str) -> Refusal:
    """The body is not what it should be."""
    return Refusal(400, "malformed", text)
