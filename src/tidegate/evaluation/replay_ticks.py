# SPDX-License-Identifier: Apache-2.0
"""The safety filter on the inputs of each tick of a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.bag import BagReader
from tidegate.evaluation.midway import settled, settling
from tidegate.evaluation.note import Note, moments
from tidegate.evaluation.topics import FIELDS, FILTERED, TICKS, Records, diagnostics
from tidegate.messages import decode_changed, stamp_of
from tidegate.records import ArmSafetyState, Command, Received, SafetyState, UsedInputs, seconds

Step = Callable[[UsedInputs, dict[str, Any]], tuple[Command | None, SafetyState | ArmSafetyState]]
"""The filter at a tick: from what was used there, and what a tick is given by field of its inputs, to its command (None
= there was none) and state."""


@dataclass(slots=True)
class TicksRun:
    """What came of the ticks of a bag: what the filter ``made`` by topic, stamps of the ticks that it was ``ran`` on,
    and ``notes`` on what could not be done."""

    made: Records
    ran: dict[str, frozenset[int]]
    notes: list[Note]


def run_ticks(
    ticks: Sequence[UsedInputs],
    made: Records,
    recorded: Records,
    step: Step,
    midway: bool,
    start: int,
    told: Callable[[int], None],
) -> TicksRun:
    """The filter on each tick's own inputs: made anew where the frame is there, else as recorded.

    Args:
        ticks: in the order of time.
        made, recorded: records by topic and stamp.
        step: the filter.
        midway: the bag begins while it was running; its first ticks are not compared.
        start: stamp [ns] that times are told from.
        told: hears how many ticks are done.
    """
    if not (ticks and recorded.get("command")):
        text = f"no commands with their inputs (command, {TICKS}) in the bag: the filter was not run"
        return TicksRun({}, {}, [Note(text)])
    last: dict[str, Any] = {}
    commands: dict[int, Command] = {}
    states: dict[int, SafetyState | ArmSafetyState] = {}
    missing: list[tuple[int, str]] = []
    for done, used in enumerate(ticks, start=1):
        received: dict[str, Any] = dict(used.flags)
        for name, source in used.inputs.items():
            if source is None:
                continue
            stamp, age = source
            record = made.get(FIELDS[name], {}).get(stamp) or recorded.get(FIELDS[name], {}).get(stamp)
            if record is None:
                missing.append((used.stamp, FIELDS[name]))
                record = last.get(name)
            if record is not None:
                last[name] = record
                received[name] = Received(record, age)
        command, states[used.stamp] = step(used, received)
        if command is not None:
            commands[used.stamp] = command
        if done % 100 == 0:
            told(done)
    told(len(ticks))
    until = settled(ticks, midway=midway)
    notes = [settling([tick.stamp for tick in ticks if tick.stamp < until])] if midway else []
    if missing:
        text = f"{len(missing)} inputs of ticks are not in the bag, the newest before was taken"
        notes.append(Note(text, tuple(f"{topic} {moments([stamp], start)[0]}" for stamp, topic in missing)))
    if unheard := sorted(set(recorded["command"]) - set(states)):
        text = f"{len(unheard)} commands have no inputs of their tick in the bag: not run"
        notes.append(Note(text, moments(unheard, start)))
    ran = dict.fromkeys(FILTERED, frozenset(tick.stamp for tick in ticks if tick.stamp >= until))
    return TicksRun({"command": commands, "safety_node/barriers": states}, ran, notes)


def settings_changes(reader: BagReader) -> dict[int, dict[str, float]]:
    """Settings that were not the file's, by the stamp of the tick that told so."""
    told = ((stamp_of(one), decode_changed(one)) for one in diagnostics(reader))
    return {stamp: changed for stamp, changed in told if changed is not None}


def changes_told(changes: Mapping[int, Mapping[str, float]], start: int) -> Iterator[Note]:
    """A note for each change of settings."""
    before: Mapping[str, float] = {}
    for stamp, now in sorted(changes.items()):
        if now != before:
            text = ", ".join(f"{key} {value:g}" for key, value in now.items()) or "as in the file"
            yield Note(f"settings changed at {seconds(stamp - start):.3f} s and replayed so: {text}")
        before = now
