# SPDX-License-Identifier: Apache-2.0
"""Numbers that carry their derivatives, so that the code that makes a barrier's rows tells theirs too.

Forward-mode differentiation (Griewank & Walther 2008, ch. 3): a ``Dual`` a + a′ε, ε² = 0, goes through the same scalar
code as a float; its value is what the float would be, to the bit, and its slope is exact. Where the code branches
(comparison, ``min``, ``max``, ``abs``), it is the derivative of the branch that was taken: at a kink one side's.

``sqrt``, ``sin``, ``cos`` and ``hypot`` take floats and duals, typed as floats, for which duals stand in; ``math``'s
refuse a dual with a TypeError, so that no derivative gets lost in silence.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats

_sqrt, _sin, _cos, _hypot = math.sqrt, math.sin, math.cos, math.hypot


class Dual:
    """A ``value`` with its derivatives ``slope`` (K,) by K quantities; all of one calculation by the same ones."""

    __slots__ = ("slope", "value")
    __array_ufunc__ = None  # NumPy's numbers leave arithmetic with it to it

    def __init__(self, value: float, slope: Floats) -> None:
        self.value, self.slope = value, slope

    def __repr__(self) -> str:
        return f"Dual({self.value!r}, {self.slope!r})"

    def __add__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.slope + other.slope)
        return Dual(self.value + other, self.slope)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value - other.value, self.slope - other.slope)
        return Dual(self.value - other, self.slope)

    def __rsub__(self, other: Any) -> Dual:
        return Dual(other - self.value, -self.slope)

    def __mul__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value * other.value, self.slope * other.value + other.slope * self.value)
        return Dual(self.value * other, self.slope * other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            ratio = self.value / other.value
            return Dual(ratio, (self.slope - other.slope * ratio) / other.value)
        return Dual(self.value / other, self.slope / other)

    def __rtruediv__(self, other: Any) -> Dual:
        ratio = other / self.value
        return Dual(ratio, self.slope * (-ratio / self.value))

    def __pow__(self, power: Any) -> Dual:
        """``power`` a number."""
        by = power * self.value ** (power - 1) if power else 0.0
        return Dual(self.value**power, self.slope * by)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __abs__(self) -> Dual:
        return -self if self.value < 0 else self

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < value(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= value(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > value(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= value(other))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == value(other))

    def __bool__(self) -> bool:
        return self.value != 0


def value(number: Any) -> Any:
    """A dual's value; anything else as it is."""
    return number.value if isinstance(number, Dual) else number


def split(numbers: NDArray[Any], count: int) -> tuple[Floats, Floats]:
    """Values (...) and slopes (..., count) of an array of floats and duals."""
    flat, none = numbers.ravel().tolist(), np.zeros(count)
    slopes = [number.slope if isinstance(number, Dual) else none for number in flat]
    made = np.array([value(number) for number in flat], np.float64), np.array(slopes, np.float64)
    return made[0].reshape(numbers.shape), made[1].reshape(*numbers.shape, count)


def sqrt(x: Any) -> float:
    """√x; at 0, where there is no derivative, the slope is 0."""
    try:
        return _sqrt(x)
    except TypeError:
        root = _sqrt(x.value)
        return Dual(root, x.slope * (0.5 / root if root else 0.0))  # type: ignore[return-value]


def sin(x: Any) -> float:
    """Sine of x [rad]."""
    try:
        return _sin(x)
    except TypeError:
        return Dual(_sin(x.value), x.slope * _cos(x.value))  # type: ignore[return-value]


def cos(x: Any) -> float:
    """Cosine of x [rad]."""
    try:
        return _cos(x)
    except TypeError:
        return Dual(_cos(x.value), x.slope * -_sin(x.value))  # type: ignore[return-value]


def hypot(x: Any, y: Any) -> float:
    """√(x² + y²); at 0, where there is no derivative, the slope is 0."""
    try:
        return _hypot(x, y)
    except TypeError:
        length, square = _hypot(value(x), value(y)), x * value(x) + y * value(y)
        return Dual(length, square.slope * (1.0 / length if length else 0.0))  # type: ignore[return-value]
