# SPDX-License-Identifier: Apache-2.0
"""How fluid a movement is: jerk, and the arc length of its speed's spectrum. Pure functions of its trace."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats

SPAN_S = 0.02
"""Jerk is the second difference of the velocity over this time [s]: twitches of 50 Hz and more are averaged out."""
HIGHEST_HZ, FAINT, PADDING = 10.0, 0.05, 4
"""Of the spectrum: frequencies beyond, and at its ends amplitudes below, do not count; powers of 2 of padding."""


def jerk(velocity: Floats, period: float) -> Floats:
    """Size of the jerk (K − 2n,) [m/s³] of (K, D) ``velocity`` [m/s], one row per ``period`` [s]."""
    span = max(1, round(SPAN_S / period))
    change = velocity[2 * span :] - 2 * velocity[span:-span] + velocity[: -2 * span]
    size: Floats = np.linalg.norm(change, axis=1) / (span * period) ** 2
    return size


def spectral_arc_length(speed: Floats, period: float) -> float:
    """Of (K,) ``speed``, one row per ``period`` [s]; nearer to 0 is more fluid, a single smooth reach has about −1.4.

    SPARC (Balasubramanian, Melendez-Calderon, Roby-Brami and Burdet, On the analysis of movement smoothness, Journal of
    NeuroEngineering and Rehabilitation 12:112, 2015), with the paper's settings. Size and duration do not matter.
    """
    count = 1 << (int(np.ceil(np.log2(len(speed)))) + PADDING)
    amplitude = np.abs(np.fft.rfft(speed, count))
    amplitude /= amplitude.max()
    frequency = np.fft.rfftfreq(count, period)
    loud = np.flatnonzero((frequency <= HIGHEST_HZ) & (amplitude >= FAINT))
    kept = slice(loud[0], loud[-1] + 1)
    width = frequency[kept][-1] - frequency[kept][0]
    return -float(np.hypot(np.diff(frequency[kept]) / width, np.diff(amplitude[kept])).sum())
