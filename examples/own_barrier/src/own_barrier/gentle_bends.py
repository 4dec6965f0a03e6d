# SPDX-License-Identifier: Apache-2.0
"""A linear constraint on the command, written in CVXPY."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tidegate.safety import Priority
from tidegate.safety.linear import LinearConstraint
from tidegate.settings import BarrierParameters, setting


@dataclass(frozen=True, slots=True)
class GentleBendsParameters(BarrierParameters):
    """How hard the car may drive off, and how fast it may turn while it does not."""

    acceleration: float = setting(2.0, "m/s²", "largest drive on a straight", low=0.1, high=10)
    lateral: float = setting(3.0, "m/s²", "lateral acceleration at which none is left", low=0.1, high=10)


class GentleBends(LinearConstraint):
    """No hard driving off while turning.

    h = a − F/m − (a/a_l) v² |κ|, relative degree 0: two rows, one for each direction of turning.
    Trusted inputs: wheel speed, by way of the odometry.
    Guarantee: none beyond the command: what is asked for stays inside, whatever the policy wants.
    Assumption: steady cornering; the speed changes little within a tick.
    """

    priority = Priority.COMFORT
    unit = "m/s²"
    Parameters = GentleBendsParameters

    def constraints(self, force: Any, curvature: Any) -> list[Any]:
        """See ``LinearConstraint``."""
        most = self.parameters.acceleration
        square = self.parameter(lambda state: state.speed**2)
        drive, turn = force / self.car.effective_mass, most / self.parameters.lateral * square * curvature
        return [drive + turn <= most, drive - turn <= most]
