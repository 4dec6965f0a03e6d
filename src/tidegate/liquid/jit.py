# SPDX-License-Identifier: Apache-2.0
"""Kernels compiled by numba (only home of ``numba``) when they are first called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(function: Callable[..., object]) -> Any:
    """``function`` compiled, kept on disk for the next process.

    Where neither the installation nor the home can be written to, each process compiles it anew.
    """
    try:
        return njit(cache=True)(function)
    except RuntimeError:  # numba knows no place to keep it
        return njit(function)
