# SPDX-License-Identifier: Apache-2.0
"""The safety filter on the inputs of each tick of a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tidegate.bag import BagReader
from tidegate.evaluation.midway import keep_mode
from tidegate.evaluation.note import Note
from tidegate.evaluation.topics import FIELDS, Records, diagnostics
from tidegate.messages import decode_changed, stamp_of
from tidegate.records import Received, SafetyInputs, SafetyState, Tick, UsedInputs, seconds
from tidegate.safety import Supervisor

Seen = Callable[[SafetyInputs, Tick, Supervisor], None]
"""Sees a tick: what it was given, what came out, and the supervisor after it."""
Missing = list[tuple[int, str]]
"""Inputs that were not to be found: (tick [ns], topic)."""


def run_ticks(
    ticks: Sequence[UsedInputs],
    made: Records,
    recorded: Records,
    supervisor: Supervisor,
    changes: Mapping[int, Mapping[str, float]],
    until: int,
    told: Callable[[int], None],
    seen: Seen,
) -> tuple[Records, Missing]:
    """The filter on each tick's own inputs: made anew where the frame is there, else as recorded.

    Args:
        ticks: in the order of time.
        made, recorded: records by topic and stamp.
        supervisor: as it starts.
        changes: settings that are not the file's, from a stamp on.
        until: before this stamp [ns] each tick begins in the recorded mode.
        told: hears how many ticks are done.
        seen: sees each tick.

    Returns:
        commands and states of the filter by topic and stamp, and what was missing.
    """
    last: dict[str, Any] = {}
    commands, states, missing = {}, {}, []
    for done, used in enumerate(ticks, start=1):
        if used.stamp in changes:
            supervisor.adjust(changes[used.stamp])
        if used.stamp < until:
            keep_mode(supervisor, used, recorded)
        received: dict[str, Any] = dict(used.flags)
        for name, source in used.inputs.items():
            if source is None:
                continue
            stamp, age = source
            record = made.get(name, {}).get(stamp) or recorded.get(FIELDS[name], {}).get(stamp)
            if record is None:
                missing.append((used.stamp, FIELDS[name]))
                record = last.get(name)
            if record is not None:
                last[name] = record
                received[name] = Received(record, age)
        inputs = SafetyInputs(used.stamp, **received)
        tick = supervisor.tick(inputs)
        seen(inputs, tick, supervisor)
        commands[used.stamp], states[used.stamp] = tick.command, SafetyState.of(tick)
        if done % 100 == 0:
            told(done)
    told(len(ticks))
    return {"command": commands, "safety_node/barriers": states}, missing


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
