"""Reads the model out of the path of a request."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from collectors.llm.clean import name

_GOOGLE: Final = re.compile(r"/(?:models|tunedModels|endpoints)/([^/:]+)(?::[A-Za-z]+)?$")
_BEDROCK: Final = re.compile(r"/model/(.+)/(?:converse|invoke)[a-z-]*$")


def model_in(path: str) -> str | None:
    """The model that Google's APIs name in the path.

    >>> model_in("/v1beta/models/gemini-2.5-flash:streamGenerateContent")
    'gemini-2.5-flash'
    """
    found = _GOOGLE.search(path)
    return name(unquote(found[1])) if found else None


def bedrock_model_in(path: str) -> str | None:
    """The model that Bedrock names in the path; of an ARN what it ends in.

    >>> bedrock_model_in("/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse-stream")
    'anthropic.claude-3-haiku-20240307-v1:0'
    >>> bedrock_model_in("/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.meta.llama/invoke")
    'eu.meta.llama'
    """
    found = _BEDROCK.search(path)
    return name(unquote(found[1]).rpartition("/")[2]) if found else None
