# SPDX-License-Identifier: Apache-2.0
"""The steering: delay, time constant and rate of the servo, and the lag of the path that the car then drives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter, savgol_filter

from tidegate.calibration.estimate import Measured, estimate, fit, stretches
from tidegate.calibration.recording import Recording
from tidegate.records import Floats
from tidegate.robot import Car

MOVING = 3.0
"""Below this speed [m/s] the yaw rate says little about the path."""
WINDOW_S = 2.0
STEP = 0.02
"""Change of the commanded curvature [1/m] from which a window counts as an experiment."""
PRECISION = 0.005
"""A window that determines the lag no better than this (standard error) [s] is no experiment."""
FULL = 0.98
"""Share of ``Car.curvature_rate`` from which the command counts as moving at full rate."""
SMOOTHING_S = 0.1


@dataclass(frozen=True, slots=True)
class Steering:
    """``delay`` and ``constant`` [s]: dead time and time constant of the servo (angles of the front wheels after the
    commanded curvature); ``lag`` [s]: both together of the path (yaw rate over speed); ``gain``: curvature of the path
    over the commanded; ``rate``: rate of the angles' curvature over ``Car.curvature_rate`` while that is asked for."""

    delay: Measured
    constant: Measured
    lag: Measured
    gain: Measured
    rate: Measured


def measure_steering(recording: Recording, car: Car) -> Steering:
    """Fit every window in which the commanded curvature changes: κ(t) = b + g · first-order lag of κ_c(t − τ)."""
    size = round(WINDOW_S / recording.period)
    path = recording.turned / np.maximum(recording.speed, MOVING)
    delays, constants, lags, gains = [], [], [], []
    for piece in stretches(recording.known & (recording.speed > MOVING), size, size):
        if np.ptp(recording.curvature[piece]) < STEP:
            continue
        servo, car_path = (_fit(recording, piece, answer) for answer in (recording.steered, path))
        if max(servo.error, car_path.error) > PRECISION:
            continue
        delays.append(servo.delay)
        constants.append(servo.constant)
        lags.append(car_path.delay + car_path.constant)
        gains.append(car_path.gain)
    moves = f"windows of {WINDOW_S:g} s in which the curvature changes by {STEP:g} 1/m"
    delay, constant, lag, gain = (estimate(each, moves) for each in (delays, constants, lags, gains))
    return Steering(delay, constant, lag, gain, _rate(recording, car))


@dataclass(frozen=True, slots=True)
class _Answer:
    delay: float
    constant: float
    gain: float
    error: float


def _fit(recording: Recording, piece: slice, answer: Floats) -> _Answer:
    """Dead time, time constant [s] and gain of an ``answer`` (T,); the standard error [s] of dead time + constant."""
    asked = recording.curvature[: piece.stop]
    time = np.arange(len(asked)) * recording.period

    def model(at: Floats, offset: float, gain: float, delay: float, constant: float) -> Floats:
        forget = np.exp(-recording.period / max(constant, 1e-4))
        followed = asked[0] + lfilter([1 - forget], [1, -forget], asked - asked[0])
        made: Floats = offset + gain * np.interp(at - recording.period - delay, time, followed)
        return made

    bounds = ([-1.0, 0.0, -0.1, 1e-3], [1.0, 3.0, 1.0, 1.0])
    (_, gain, delay, constant), covariance = fit(model, time[piece], answer[piece], (0.0, 1.0, 0.01, 0.01), bounds)
    return _Answer(delay, constant, gain, float(np.sqrt(covariance[2:, 2:].sum())))


def _rate(recording: Recording, car: Car) -> Measured:
    """Median rate of the answer while the command moves at full rate, over that rate."""
    span = round(SMOOTHING_S / recording.period) | 1
    moved = np.gradient(recording.curvature, recording.period)
    answer = np.abs(savgol_filter(recording.steered, span, 2, deriv=1, delta=recording.period))
    full = recording.known & (np.abs(moved) >= FULL * car.curvature_rate)
    ratios = [
        float(np.median(answer[move.start + span // 2 : move.stop])) / car.curvature_rate
        for move in stretches(full, span, len(full))
    ]
    return estimate(ratios, f"moves of at least {SMOOTHING_S:g} s at the steering's full rate")
