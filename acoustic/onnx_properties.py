"""The properties in an ONNX file, read without loading the model.

ONNX Runtime tells them only once it has loaded and optimised everything: most of a second for the
shipped model. The file is a protobuf message, whose fields are skipped by their lengths, the graph
and its weights among them.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2  # fields of ModelProto and StringStringEntryProto
_DAMAGED = "no ONNX file, or one that is cut off"
_VARINT, _DELIMITED = 0, 2  # the kinds of fields that these messages have


def read_properties(path: Path) -> dict[str, str]:
    """``metadata_props`` of the model at ``path``.

    ValueError: it is no ONNX file (one that is may still not be found out). OSError: unreadable.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as model:
        properties = {}
        for number, place in _fields(model):
            if number == _METADATA_PROPS:
                pair = model[place]
                entry = {field: pair[text].decode() for field, text in _fields(pair)}
                properties[entry.get(_KEY, "")] = entry.get(_VALUE, "")
        return properties


def _fields(message: mmap.mmap | bytes) -> Iterator[tuple[int, slice]]:
    """Number and place of each field that has a length."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _DELIMITED and at + value <= len(message):
            yield number, slice(at, at + value)
            at += value
        elif kind != _VARINT:
            raise ValueError(_DAMAGED)


def _varint(message: mmap.mmap | bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, seven bits a byte, the lowest first; and where it ends."""
    value = shift = 0
    while True:
        if at == len(message) or shift > 63:
            raise ValueError(_DAMAGED)
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
