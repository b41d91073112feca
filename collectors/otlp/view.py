"""The part of OTLP's protobuf messages that is read, as messages of their own.

A full decode of the official messages lets two bytes of a body become a hundred in memory and follows values into any
depth. Here lists stay bytes until each of their members is read, nested values are never entered, and what has no field
here (prompts in events, links, dropped counts) is skipped by the C decoder.

Source:
    Field numbers of opentelemetry-proto 1.x: trace.proto, logs.proto, metrics.proto, common.proto, resource.proto.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "gaugebook.otlp"
_Field = FieldDescriptorProto
_MANY = "*"  # after a type: repeated
_ONE_OF = "?"  # after a type: a member of the oneof `value`
_TYPES = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "fixed64": _Field.TYPE_FIXED64,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
}

# The three signals have the same shape down to their items.
_MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "Value": {
        1: ("string", "string?"),
        2: ("bool", "bool?"),
        3: ("int", "int64?"),
        4: ("double", "double?"),
        5: ("array", "bytes?"),
    },
    "Array": {1: ("values", "Value*")},
    "Pair": {1: ("key", "string"), 2: ("value", "Value")},
    "Resource": {1: ("attributes", "Pair*")},
    "Scope": {1: ("name", "string")},
    "Request": {1: ("resources", "bytes*")},
    "OfResource": {1: ("resource", "Resource"), 2: ("scopes", "bytes*")},
    "OfScope": {1: ("scope", "Scope"), 2: ("items", "bytes*")},
    "Status": {3: ("code", "int32")},
    "Event": {1: ("time", "fixed64"), 2: ("name", "string"), 3: ("attributes", "Pair*")},
    "Span": {
        1: ("trace_id", "bytes"),
        2: ("span_id", "bytes"),
        4: ("parent_id", "bytes"),
        5: ("name", "string"),
        7: ("start", "fixed64"),
        8: ("end", "fixed64"),
        9: ("attributes", "Pair*"),
        11: ("events", "bytes*"),
        15: ("status", "Status"),
    },
    "LogRecord": {
        1: ("time", "fixed64"),
        6: ("attributes", "Pair*"),
        9: ("trace_id", "bytes"),
        10: ("span_id", "bytes"),
        11: ("observed", "fixed64"),
        12: ("event_name", "string"),
    },
}


def _described() -> FileDescriptorProto:
    file = FileDescriptorProto(name="gaugebook/otlp.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message: DescriptorProto = file.message_type.add(name=name)
        for number, (called, kind) in fields.items():
            plain = kind.rstrip(_MANY + _ONE_OF)
            field = message.field.add(name=called, number=number, label=_Field.LABEL_OPTIONAL)
            if kind.endswith(_MANY):
                field.label = _Field.LABEL_REPEATED
            if kind.endswith(_ONE_OF):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="value")
                field.oneof_index = 0
            if plain in _TYPES:
                field.type = _TYPES[plain]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{plain}"
    return file


_pool = DescriptorPool()  # of our own: the official messages may be loaded beside these
_pool.Add(_described())


def _message(name: str) -> Any:
    return GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


Request, OfResource, OfScope = _message("Request"), _message("OfResource"), _message("OfScope")
Span, LogRecord, Event, Array = _message("Span"), _message("LogRecord"), _message("Event"), _message("Array")
