"""Names of queues that break what is not careful."""

from __future__ import annotations

NASTY = (
    'weird "quoted" back\\slash',
    "two\nlines\r\tand a tab",
    "\\n is no newline \\",
    "🐇 rabbits, 兔子, кролики",
    "{vhost=\"/\"} 1 # a comment, 'quoted'; --",
    "e\u0301 and \u00e9",
    " spaces ",
    "ü" * 127 + "x",  # 255 bytes, the longest that AMQP can say
)
