# SPDX-License-Identifier: Apache-2.0
"""NORMAL → HOLD → STOPPING → STOPPED: a pure state machine."""

from __future__ import annotations

from typing import NamedTuple

from tidegate.records import ArmInputs, Mode, SafetyInputs

LET_GO = "the driver let go, or fell silent"
SHORTEST = 10
"""A HOLD counts as at least this fraction of the longest one: so many of them in a row are no better than that one."""


class Conditions(NamedTuple):
    """What the ladder decides on; the tuples hold reasons in words, empty = fine.

    ``camera``: what depends on the camera (nominal, lane, image health) and is late or not to be trusted.
    ``trusted``: inputs that the guarantees rest on and that are late or broken.
    ``rolling``: the car rolls backwards. ``stop``: an emergency stop or a stop request.
    ``manual``: a driver holds the dead-man switch. ``hand_back``: the driver let go of it and says that the car may
    drive itself.
    """

    camera: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    rolling: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    manual: bool = False
    hand_back: bool = False
    standing: bool = False
    reset: bool = False


class Rung(NamedTuple):
    """Where the ladder stands: ``since`` [ns]; ``latched``: stopped on purpose, a driver cannot take over either.

    ``spent`` [ns]: how much of the longest HOLD the HOLDs before had used up at ``since``.
    """

    mode: Mode = Mode.STOPPED
    since: int = 0
    reasons: tuple[str, ...] = ("started; waiting for a reset",)
    latched: bool = False
    manual: bool = False
    spent: int = 0


def asked_to_stop(inputs: SafetyInputs | ArmInputs) -> tuple[str, ...]:
    """Why the robot must stop though nothing is wrong with it; empty = it need not."""
    reasons = {
        "emergency stop": inputs.emergency_stop,
        "the emergency stop's chain is silent": inputs.emergency_silent,
        "stop requested": inputs.stop_requested,
    }
    return tuple(reason for reason, given in reasons.items() if given)


def advance(rung: Rung, seen: Conditions, now: int, hold: int, share: float) -> Rung:
    """The rung at ``now`` [ns]; ``hold`` [ns] is the longest HOLD, ``share`` what NORMAL gives back of it.

    HOLD is a leaky bucket: it fills by the time in HOLD, by hold/``SHORTEST`` at least for each, and runs empty at
    ``share`` of the time in NORMAL. So within any time T without STOPPING the car is in HOLD for no longer than
    hold + share T and a tick, and enters it no more often than ``SHORTEST`` (1 + share T / hold) + 1 times.

    | from | to | when |
    | --- | --- | --- |
    | NORMAL, HOLD | STOPPING | stop asked for, a trusted input late, or the car rolls backwards |
    | NORMAL | STOPPING | a driver lets go or falls silent, and does not hand back or the camera is out |
    | NORMAL | HOLD | camera out and no driver; STOPPING where the bucket is full |
    | HOLD | NORMAL | camera back, or a driver takes over |
    | HOLD | STOPPING | the bucket is full |
    | STOPPING | NORMAL | a driver takes over, trusted inputs fine, not stopped on purpose |
    | STOPPING | STOPPED | standing |
    | STOPPED | NORMAL | reset asked for, standing, trusted inputs fine, no stop, camera fine or a driver present |
    """
    out = () if seen.manual else seen.camera
    halt = seen.stop + seen.trusted + seen.rolling
    if rung.mode == Mode.STOPPED:
        if seen.reset and seen.standing and not halt and not out:
            return Rung(Mode.NORMAL, now, _driver(seen), manual=seen.manual)
        return _stay(rung, seen)
    if rung.mode == Mode.STOPPING:
        if seen.manual and not halt and not rung.latched:
            return Rung(Mode.NORMAL, now, _driver(seen), manual=True)
        if seen.standing:
            return Rung(Mode.STOPPED, now, rung.reasons, rung.latched or bool(seen.stop), seen.manual)
        return _stay(rung, seen)
    if halt:
        return Rung(Mode.STOPPING, now, halt, bool(seen.stop), seen.manual)
    if rung.manual and not seen.manual and (out or not seen.hand_back):
        return Rung(Mode.STOPPING, now, (LET_GO, *out))
    if not out:
        since, spent = rung.since, rung.spent
        if rung.mode == Mode.HOLD:
            since, spent = now, spent + max(now - since, hold // SHORTEST)
        return Rung(Mode.NORMAL, since, _driver(seen), manual=seen.manual, spent=spent)
    if rung.mode == Mode.NORMAL:
        rung = Rung(Mode.HOLD, now, out, spent=max(rung.spent - round(share * (now - rung.since)), 0))
    if rung.spent + now - rung.since >= hold:
        return Rung(Mode.STOPPING, now, out)
    return rung._replace(reasons=out)


def _driver(seen: Conditions) -> tuple[str, ...]:
    return ("a driver drives",) if seen.manual else ()


def _stay(rung: Rung, seen: Conditions) -> Rung:
    fresh = tuple(reason for reason in seen.stop if reason not in rung.reasons)
    return Rung(rung.mode, rung.since, rung.reasons + fresh, rung.latched or bool(seen.stop), seen.manual)
