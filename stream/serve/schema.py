"""The JSON schema of `/v1/recite`: `python -m stream.serve.schema > docs/protocol.schema.json`"""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing
from typing import Any

from .. import events
from ..events import Event
from .audio import ENCODINGS, HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS
from .recite import Started

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}
_CLIENT: dict[str, Schema] = {
    "start": {
        "description": "The first message.",
        "type": "object",
        "properties": {
            "type": {"const": "start"},
            "encoding": {"enum": list(ENCODINGS), "default": "s16le"},
            "sample_rate": {"type": "integer", "minimum": LOWEST_RATE, "maximum": HIGHEST_RATE},
            "channels": {"type": "integer", "minimum": 1, "maximum": MOST_CHANNELS, "default": 1},
            "token": {"type": "string"},
        },
        "required": ["type"],
        # A container says its rate itself.
        "if": {"properties": {"encoding": {"const": "container"}}, "required": ["encoding"]},
        "else": {"required": ["sample_rate"]},
    },
    "flush": {
        "description": "Asks to decide on everything sent so far; more audio may follow.",
        "type": "object",
        "properties": {"type": {"const": "flush"}},
        "required": ["type"],
    },
    "end": {
        "description": "No more audio comes. The events that remain follow, `ended` the last.",
        "type": "object",
        "properties": {"type": {"const": "end"}},
        "required": ["type"],
    },
}


def protocol_schema() -> Schema:
    """Schema of one text message, from the client or from the server."""
    kinds = [
        kind
        for name in events.__dict__
        if isinstance(kind := getattr(events, name), type)
        and issubclass(kind, Event)
        and kind is not Event
    ]
    definitions: dict[str, Schema] = dict(_CLIENT)
    definitions["started"] = _object(Started, definitions)
    for kind in kinds:
        definitions[kind.type] = _object(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Messages of Tasmi's /v1/recite",
        "oneOf": [{"$ref": "#/$defs/client"}, {"$ref": "#/$defs/server"}],
        "$defs": {
            "client": {"oneOf": [_reference(name) for name in _CLIENT]},
            "server": {"oneOf": [_reference(n) for n in ("started", *(k.type for k in kinds))]},
            **definitions,
        },
    }


def _object(kind: type, definitions: dict[str, Schema]) -> Schema:
    """Schema of a dataclass; those it is made of are added to the definitions."""
    hints = typing.get_type_hints(kind)
    properties: dict[str, Schema] = {}
    if isinstance(tag := getattr(kind, "type", None), str):
        properties["type"] = {"const": tag}
    for field in dataclasses.fields(kind):
        properties[field.name] = _of(hints[field.name], definitions)
    described = " ".join((kind.__doc__ or "").split())
    return {
        "description": described,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _of(hint: Any, definitions: dict[str, Schema]) -> Schema:
    if hint in _PLAIN:
        return _PLAIN[hint]
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Literal:
            return {"enum": list(arguments)}
        case types.UnionType:
            return {"anyOf": [_of(argument, definitions) for argument in arguments]}
        case origin if origin is tuple:
            return {"type": "array", "items": _of(arguments[0], definitions)}
    if not dataclasses.is_dataclass(hint) or not isinstance(hint, type):
        raise TypeError(f"no schema for {hint}")
    tag = getattr(hint, "type", None)
    name = tag if isinstance(tag, str) else hint.__name__
    if name not in definitions and not isinstance(tag, str):
        definitions[name] = _object(hint, definitions)
    return _reference(name)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def render() -> str:
    """The file's text."""
    return json.dumps(protocol_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
