# SPDX-License-Identifier: Apache-2.0
"""A user's own linear constraint on the command, written in CVXPY and compiled once into rows."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from tidegate.errors import DependencyError, SettingsError
from tidegate.records import Floats
from tidegate.robot import Car
from tidegate.safety.barrier import Barrier, Rows, State
from tidegate.settings import Settings

try:
    import cvxpy
    from cvxpy.constraints import Inequality
    from cvxpy.utilities.scopes import dpp_scope
except ImportError as error:
    raise DependencyError("a constraint in CVXPY needs cvxpy: pip install 'tidegate[cvxpy]'") from error


class LinearConstraint(Barrier):
    """Base of barriers of relative degree 0 whose rows are the inequalities of ``constraints``.

    CVXPY reads them once; at a tick they are one matrix product, without CVXPY. Subclasses state what every
    barrier states; h is what the tightest inequality leaves of the last command, in its own unit.
    """

    compiled = True

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        """See ``Barrier``.

        Raises:
            SettingsError: what ``constraints`` gives is no list of inequalities, or one is not affine.
        """
        super().__init__(settings, car, parameters)
        self._parameters: list[Any] = []
        self._values: list[Callable[[State], float]] = []
        command = cvxpy.Variable(name="force"), cvxpy.Variable(name="curvature")
        written = self.constraints(*command)
        if not (isinstance(written, list) and written):
            raise SettingsError(
                f"{type(self).__name__}: constraints gives {written!r}; it must be a list of inequalities"
            )
        self._compiled = np.concatenate([self._compile(one, command) for one in written])
        self.rows = len(self._compiled)

    @abstractmethod
    def constraints(self, force: Any, curvature: Any) -> list[Any]:
        """Inequalities (≤, ≥), affine in the variables ``force`` [N] and ``curvature`` [1/m]."""

    def parameter(self, value: Callable[[State], float]) -> Any:
        """A scalar ``cvxpy.Parameter`` that is ``value`` of the state at every tick.

        Where a ``value`` is inf it is not known (no lane, say), and there are no rows. What is a product or a power of
        such quantities needs a parameter of its own: the inequalities must be affine in the parameters too (DPP).
        """
        made = cvxpy.Parameter()
        self._parameters.append(made)
        self._values.append(value)
        return made

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        values = [value(state) for value in self._values]
        if math.inf in map(abs, values):
            return math.inf
        h = math.inf
        for row, (by_force, by_curvature, rest) in enumerate((self._compiled @ [1.0, *values]).tolist()):
            if (by_force, by_curvature) != (0.0, 0.0):  # else no command changes it
                rows.set(row, -by_force, -by_curvature, rest)
            h = min(h, -(by_force * state.force + by_curvature * state.curvature + rest))
        return h

    def _compile(self, constraint: Any, command: tuple[Any, Any]) -> Floats:
        """(m, 3, 1 + K): what force, curvature and nothing are multiplied by in an expression that must be ≤ 0, for the
        constant and for each of the K parameters; Agrawal et al. 2019, disciplined parametrized programming."""
        self._check(constraint, command)
        for one in (*command, *self._parameters):
            one.value = 0.0
        parts = [_affine(constraint.expr, command)]
        for parameter in self._parameters:
            parameter.value = 1.0
            parts.append(_affine(constraint.expr, command) - parts[0])
            parameter.value = 0.0
        return np.stack(parts, axis=2)

    def _check(self, constraint: Any, command: tuple[Any, Any]) -> None:
        wrong = f"{type(self).__name__}: constraint '{constraint}'"
        if not isinstance(constraint, Inequality):
            raise SettingsError(f"{wrong} is no inequality; write ≤ or ≥")
        for variable in constraint.variables():
            if not any(variable is one for one in command):
                raise SettingsError(f"{wrong} has the variable '{variable}'; only force and curvature are commanded")
        for parameter in constraint.parameters():
            if not any(parameter is one for one in self._parameters):
                raise SettingsError(f"{wrong} has the parameter '{parameter}', which nothing sets; use self.parameter")
        if not constraint.expr.is_affine():
            raise SettingsError(f"{wrong} is not affine in the command; split |x| ≤ a into x ≤ a and x ≥ −a")
        with dpp_scope():
            compilable = constraint.expr.is_affine()
        if not compilable:  # raised in the scope, the scope would never end: CVXPY leaves it without a finally
            raise SettingsError(
                f"{wrong} is not affine in its parameters; give a product or a power of state quantities one "
                "parameter of its own"
            )


def _affine(expression: Any, command: tuple[Any, Any]) -> Floats:
    """(m, 3) coefficients of force and curvature and the constant of ``expression``, whose variables are 0."""
    slopes = [expression.grad.get(variable) for variable in command]
    constant = np.ravel(expression.value, order="F")
    parts = [np.zeros(constant.size) if slope is None else np.ravel(_dense(slope)) for slope in slopes]
    return np.stack([*parts, constant], axis=1)


def _dense(slope: Any) -> Any:
    return slope.toarray() if hasattr(slope, "toarray") else slope
