# SPDX-License-Identifier: Apache-2.0
"""Drive and brakes: gain, lag and ramp, from steps of the commanded force."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import linregress

from tidegate.calibration.estimate import Measured, estimate, fit, stretches
from tidegate.calibration.recording import Recording
from tidegate.records import Floats
from tidegate.robot import Car

MOVING = 1.5
"""Below this speed [m/s] nothing is fitted: friction brakes stop pushing where the car stands."""
SHORTEST_S, LONGEST_S = 0.5, 2.5
STEP = 1.0
"""Change of the commanded acceleration [m/s²] from which a stretch counts as a step."""
STRAIGHT = 0.02
"""Where the commanded curvature changes by more than this [1/m], cornering drag comes and goes: no experiment."""
PRECISION = 0.02
"""A step that determines the gain no better than this (standard error) is no experiment."""
FULL = 0.98
"""Share of the torque rate from which the command counts as ramping at full rate."""


@dataclass(frozen=True, slots=True)
class Force:
    """What came of the commanded force, to one side (driving or braking).

    ``gain``: acceleration per commanded force over effective mass; ``lag`` [s] from the command to the force; ``ramp``:
    rate of the force over the commanded one while that changes at the wheels' full torque rate; ``hardest``: largest
    commanded acceleration [m/s²] among the steps.
    """

    gain: Measured
    lag: Measured
    ramp: Measured
    hardest: float


def measure_force(recording: Recording, car: Car, side: int) -> Force:
    """Fit every step of driving (``side`` 1) or braking (−1).

    The gain comes from the speed, v(t) = v₀ + w₀ t + w₁ t²/2 + k ∫a(t − τ): slope and drag are in w, which may change
    evenly. The lag and the ramp come from the IMU's specific force, f(t) = w + k a(t − τ): the wheels slip before the
    body slows down, and their speed would hide the lag; the body's pitch is in k here, which is not used.
    """
    acceleration = recording.force / car.effective_mass
    moving = recording.known & (recording.speed > MOVING) & (side * acceleration >= 0)
    shortest, longest = (round(time / recording.period) for time in (SHORTEST_S, LONGEST_S))
    steepest = FULL * car.force_rate(side) / car.effective_mass
    gains, lags, ramps, hardest = [], [], [], 0.0
    for piece in stretches(moving, shortest, longest):
        if np.ptp(acceleration[piece]) < STEP or np.ptp(recording.curvature[piece]) > STRAIGHT:
            continue
        gain, error = _gain(recording, acceleration, piece)
        force_gain, lag, force_error = _lag(recording, acceleration, piece)
        if max(error, force_error) > PRECISION:
            continue
        gains.append(gain)
        lags.append(lag)
        hardest = max(hardest, float(np.abs(acceleration[piece]).max()))
        slope = np.gradient(acceleration[piece], recording.period)
        for ramp in stretches(side * slope >= steepest, round(0.1 / recording.period), longest):
            follows = slice(piece.start + ramp.start, piece.start + ramp.stop)
            ramps.append(_ramp(recording, acceleration, follows, lag) / force_gain)
    kind = "driving" if side > 0 else "braking"
    steps = f"{kind} steps of at least {STEP:g} m/s² while moving"
    return Force(
        estimate(gains, steps), estimate(lags, steps), estimate(ramps, f"{kind} ramps at the full torque rate"), hardest
    )


def _gain(recording: Recording, acceleration: Floats, piece: slice) -> tuple[float, float]:
    """k and its standard error from the speed."""
    time = np.arange(len(acceleration)) * recording.period
    pushed = np.concatenate(([0.0], np.cumsum(acceleration)[:-1])) * recording.period
    at, speed = time[piece], recording.speed[piece]

    def model(at: Floats, start: float, slope: float, bend: float, gain: float, lag: float) -> Floats:
        since = at - at[0]
        given: Floats = np.interp(at - lag, time, pushed) - pushed[piece.start]
        made: Floats = start + slope * since + bend * since**2 / 2 + gain * given
        return made

    found, covariance = fit(model, at, speed, (speed[0], 0.0, 0.0, 1.0, 0.01))
    return found[3], float(np.sqrt(covariance[3, 3]))


def _lag(recording: Recording, acceleration: Floats, piece: slice) -> tuple[float, float, float]:
    """k, τ [s] and the standard error of k from the specific force; a command is answered at the next sample."""
    time = np.arange(len(acceleration)) * recording.period
    at = time[piece]

    def model(at: Floats, other: float, gain: float, lag: float) -> Floats:
        made: Floats = other + gain * np.interp(at - recording.period - lag, time, acceleration)
        return made

    found, covariance = fit(model, at, recording.pushed[piece], (0.0, 1.0, 0.01))
    return found[1], found[2], float(np.sqrt(covariance[1, 1]))


def _ramp(recording: Recording, acceleration: Floats, ramp: slice, lag: float) -> float:
    """Rate of the specific force over that of the command, seen one lag later."""
    shift = max(round(lag / recording.period), 0) + 1
    answer = recording.pushed[ramp.start + shift : ramp.stop + shift]
    asked = acceleration[ramp.start : ramp.start + len(answer)]
    return float(linregress(asked, answer).slope)
