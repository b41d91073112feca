"""The body of a request, decompressed within bounds."""

from __future__ import annotations

import zlib

from collectors.web.refusal import Refusal, malformed

ENCODINGS = "gzip, deflate"
MOST_RATIO = 250  # telemetry shrinks to a tenth, a few equal spans to a fiftieth; a bomb to a thousandth
FREE_BYTES = 1 << 20  # up to here no ratio is asked for
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """`body` without its compression.

    Args:
        body: as it was sent.
        encoding: the header Content-Encoding; empty where there is none.
        limit: bytes that it may become.

    Raises:
        Refusal: an encoding that is not known, damage, or more than `limit` or `MOST_RATIO` allow.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflated(body, _GZIP, limit)
        case "deflate":
            # The standard means zlib's format; some senders leave its header out.
            has_header = len(body) > 1 and body[0] & 15 == zlib.DEFLATED and not (body[0] << 8 | body[1]) % 31
            return _inflated(body, _ZLIB if has_header else _RAW, limit)
    raise Refusal(
        415, "encoding", f"this Content-Encoding is not read here; use one of: {ENCODINGS}", accept_encoding=ENCODINGS
    )


def _inflated(body: bytes, kind: int, limit: int) -> bytes:
    most = min(limit, max(FREE_BYTES, MOST_RATIO * len(body)))
    inflate = zlib.decompressobj(kind)
    try:
        plain = inflate.decompress(body, most + 1)
    except zlib.error:
        raise malformed("the body is damaged or not compressed as its Content-Encoding says") from None
    if len(plain) > most:
        raise Refusal(413, "too_large", f"the body becomes larger than {most:,} bytes; send smaller batches")
    if not inflate.eof or inflate.unused_data:
        raise malformed("the compressed body is cut off, or something follows it")
    return plain
