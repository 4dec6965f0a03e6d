# SPDX-License-Identifier: Apache-2.0
"""Recordings that begin while the nodes were running, such as snapshots: what these remembered is taken from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from tidegate.evaluation.note import Note
from tidegate.liquid import LiquidPolicy
from tidegate.records import Mode, UsedInputs, nanoseconds, seconds
from tidegate.safety.ladder import Rung

SETTLED = nanoseconds(3.0)
"""[ns] After it what the filter remembers beside its mode follows from what it was told since: commands of cut bags
were within 10⁻⁶ of full scale after 0.02 to 0.5 s, the rows' margins after 2 to 3 s."""

AT_REST = "the bag begins while the policy was running and has no neurons: they begin at rest, and differ for seconds"
STATES = "safety_node/barriers"


def begins_midway(ticks: list[UsedInputs], recorded: Mapping[str, Mapping[int, Any]]) -> bool:
    """Whether the first tick in the bag was not the filter's first: it drove, or used what came before the bag."""
    if not ticks:
        return False
    state = recorded.get(STATES, {}).get(ticks[0].stamp)
    used = [(name, ticks[0].inputs.get(name)) for name in ("nominal", "lane")]
    absent = [source for name, source in used if source is not None and source[0] not in recorded.get(name, {})]
    return bool(absent) or (state is not None and state.mode != Mode.STOPPED)


def resume_policy(policy: LiquidPolicy, stamp: int, recorded: Mapping[str, Mapping[int, Any]]) -> Note | None:
    """Give the neurons what they were after the first frame, at ``stamp``; None = the bag does not say, they rest."""
    neurons = recorded.get("neurons", {}).get(stamp)
    if neurons is None or len(neurons.values) != policy.wiring.neurons:
        return None
    policy.resume(stamp, neurons.values)
    return Note("the bag begins while the policy was running: its neurons were taken from the first frame's record")


def settled(ticks: Sequence[UsedInputs], *, midway: bool) -> int:
    """Before this stamp [ns] each tick begins in the recorded mode, and is not compared."""
    return ticks[0].stamp + SETTLED if midway else 0


class OnALadder(Protocol):
    """A supervisor, of whatever robot."""

    rung: Rung


def keep_mode(supervisor: OnALadder, used: UsedInputs, recorded: Mapping[str, Mapping[int, Any]]) -> None:
    """Have a tick begin in the mode that is recorded of it."""
    state = recorded.get(STATES, {}).get(used.stamp)
    if state is not None and state.mode != supervisor.rung.mode:
        supervisor.rung = Rung(state.mode, used.stamp if used.steady is None else used.steady, ())


def settling(ticks: Collection[int]) -> Note:
    """Told of the ticks that are not compared."""
    return Note(
        f"the bag begins while the filter was running: its mode was taken from the record for {seconds(SETTLED):g} s, "
        f"and the commands of these {len(ticks)} ticks were not compared with it"
    )
