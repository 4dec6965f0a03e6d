# SPDX-License-Identifier: Apache-2.0
"""Message classes without ROS: those of the rosbags library, which are dataclasses that need every field."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

STORE = get_typestore(Stores.ROS2_JAZZY)

_NUMBERS = {"bool": False, "float32": 0.0, "float64": 0.0, "string": "", "wstring": ""}


def make(type_name: str) -> Any:
    """A message of ``type_name`` (such as ``sensor_msgs/msg/Image``) with default values throughout.

    Raises:
        KeyError: no such type in ROS 2 Jazzy's standard messages.
    """
    fields = STORE.fielddefs[type_name][1]
    return STORE.types[type_name](**{name: _default(kind, detail) for name, (kind, detail) in fields})


def _default(kind: Nodetype, detail: Any) -> Any:
    if kind is Nodetype.NAME:
        return make(detail)
    if kind is Nodetype.BASE:
        return _NUMBERS.get(detail[0], 0)
    (inner, of), length = detail
    if inner is Nodetype.BASE and of[0] not in ("string", "wstring"):
        return np.zeros(length if kind is Nodetype.ARRAY else 0, _dtype(of[0]))
    return [_default(inner, of) for _ in range(length)] if kind is Nodetype.ARRAY else []


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype({"byte": "uint8", "char": "uint8", "octet": "uint8"}.get(name, name))


def serialise(message: Any) -> bytes:
    """CDR, little endian, of a message made by ``make``."""
    return bytes(STORE.serialize_cdr(message, message.__msgtype__))


def store_with(definitions: Mapping[str, str]) -> tuple[Typestore, dict[str, str]]:
    """A store of ROS 2 Jazzy's standard types and of those that a bag defines, and by type why one could not be added.

    Args:
        definitions: text of the message definition by ROS type, as ``BagReader.definitions``.
    """
    store, refused = get_typestore(Stores.ROS2_JAZZY), {}
    for name, text in definitions.items():
        if name in store.fielddefs:
            continue
        try:
            found = get_types_from_msg(text, name)
            store.register({kind: fields for kind, fields in found.items() if kind not in store.fielddefs})
        except Exception as error:  # rosbags has no error class of its own for every text that defines no message
            refused[name] = " ".join(str(error).split())
    return store, refused


def deserialise(data: bytes, type_name: str, store: Typestore = STORE) -> Any:
    """The message in ``data`` (CDR), of a type that ``store`` knows.

    Fast DDS reserves up to 8 bytes more than it uses when a sequence of doubles is empty; rosbags takes more than 3
    for a mismatch, so they are cut off.

    Raises:
        KeyError: no such type.
        SerdeError: ``data`` is no such message.
    """
    for surplus in (0, 4):
        try:
            return store.deserialize_cdr(data[: len(data) - surplus], type_name)
        except SerdeError as error:
            if "size mismatch" not in str(error):
                raise
    return store.deserialize_cdr(data[:-8], type_name)


@cache
def definition(type_name: str) -> tuple[str, str]:
    """Message definition (.msg text with what it includes) and its RIHS01 hash, as bags carry them.

    Raises:
        KeyError: no such type in ROS 2 Jazzy's standard messages.
    """
    if type_name not in STORE.fielddefs:
        raise KeyError(type_name)
    return STORE.generate_msgdef(type_name, ros_version=2)[0], STORE.hash_rihs01(type_name)
