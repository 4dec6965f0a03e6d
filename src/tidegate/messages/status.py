# SPDX-License-Identifier: Apache-2.0
"""Health of the image, what the policy runs in, and the lock-step's rounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tidegate.errors import MessageError
from tidegate.messages.common import set_time, stamp_of, stamped, time_of
from tidegate.messages.topics import BOOL, DIAGNOSTIC_STATUS, DIAGNOSTICS, HEADER, KEY_VALUE, Make
from tidegate.records import ImageHealth, Level, Round, Status

POLICY, RUNS_IN = "policy_node", "liquid step runs in"
NEURONS = "neurons: "
"""Before the name of a layer, in the key whose value is how many neurons it has."""
SAFETY, CHANGED = "safety_node", "changed: "


def encode_diagnostics(
    stamp: int, name: str, level: Level, text: str, values: Iterable[tuple[str, str]], make: Make, hardware_id: str = ""
) -> Any:
    """A DiagnosticArray of one status; a key may come more than once in ``values``."""
    message = stamped(DIAGNOSTICS, stamp, make)
    status = make(DIAGNOSTIC_STATUS)
    status.level = bytes([level]) if isinstance(status.level, bytes) else int(level)
    status.name, status.message, status.hardware_id = name, text, hardware_id
    status.values = []
    for key, value in values:
        pair = make(KEY_VALUE)
        pair.key, pair.value = key, value
        status.values.append(pair)
    message.status = [status]
    return message


def encode_health(record: ImageHealth, make: Make) -> Any:
    reasons = [("reason", reason) for reason in record.reasons]
    values = [(key, repr(float(value))) for key, value in record.values.items()]
    text = "; ".join(record.reasons) or "ok"
    return encode_diagnostics(record.stamp, "camera", record.level, text, [*reasons, *values], make)


def decode_health(message: Any) -> ImageHealth:
    if len(message.status) != 1:
        raise MessageError(f"health has {len(message.status)} entries; it must have one")
    status = message.status[0]
    level = status.level[0] if isinstance(status.level, bytes) else status.level
    reasons = tuple(pair.value for pair in status.values if pair.key == "reason")
    try:
        values = {pair.key: float(pair.value) for pair in status.values if pair.key != "reason"}
        return ImageHealth(stamp_of(message), Level(int(level)), reasons, values)
    except ValueError as error:
        raise MessageError(f"health: {error}") from error


def statuses(message: Any) -> Iterator[Status]:
    """What a DiagnosticArray tells, of whatever node; the last of equal keys counts."""
    for status in message.status:
        level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
        known = Level(level) if level in list(Level) else Level.ERROR
        yield Status(status.name, known, status.message, {pair.key: pair.value for pair in status.values})


def statuses_of(message: Any, node: str) -> list[Any]:
    """The entries of a DiagnosticArray that ``node`` tells, ``node: task`` or, in older bags, ``node`` by name."""
    return [status for status in message.status if status.name.partition(":")[0] == node]


def encode_policy(
    stamp: int, runs_in: str, make: Make, layers: Mapping[str, int] | None = None, robot: str = ""
) -> Any:
    """What the policy node of ``robot`` tells ``/diagnostics``: that its liquid step ``runs_in`` C or NumPy, and the
    sizes of the ``layers`` in the order of ``neurons``."""
    sizes = [(f"{NEURONS}{layer}", str(size)) for layer, size in (layers or {}).items()]
    pairs = [(RUNS_IN, runs_in), *sizes]
    return encode_diagnostics(
        stamp, f"{POLICY}: liquid step", Level.OK, f"liquid step in {runs_in}", pairs, make, robot
    )


def layers_of(status: Status) -> dict[str, int]:
    """Neurons by layer, in order, as a status tells them; empty where it does not."""
    return {
        key.removeprefix(NEURONS): int(value)
        for key, value in status.values.items()
        if key.startswith(NEURONS) and value.isdecimal()
    }


def decode_policy(message: Any) -> str | None:
    """What a message of ``/diagnostics`` says that the liquid step runs in; None where it is not the policy's."""
    pairs = [pair for status in statuses_of(message, POLICY) for pair in status.values]
    return next((str(pair.value) for pair in pairs if pair.key == RUNS_IN), None)


def decode_changed(message: Any) -> dict[str, float] | None:
    """The settings that differ from the file's, by key, as a message of ``/diagnostics`` tells them; None where it is
    not the safety node's."""
    told = statuses_of(message, SAFETY)
    if not told:
        return None
    pairs = [pair for status in told for pair in status.values if pair.key.startswith(CHANGED)]
    try:
        return {pair.key.removeprefix(CHANGED): float(pair.value) for pair in pairs}
    except ValueError as error:
        raise MessageError(f"diagnostics: {error}") from error


def encode_round(record: Round, make: Make) -> Any:
    message = make(HEADER)
    set_time(message.stamp, record.stamp)
    message.frame_id = " ".join(record.awaited)
    return message


def decode_round(message: Any) -> Round:
    return Round(time_of(message.stamp), tuple(message.frame_id.split()))


def encode_bool(value: bool, make: Make) -> Any:
    message = make(BOOL)
    message.data = value
    return message
