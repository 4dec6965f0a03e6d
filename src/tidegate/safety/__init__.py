# SPDX-License-Identifier: Apache-2.0
"""From the policy's command to a safe one: barriers, quadratic programme, limiter, watchdogs and the ladder."""

from tidegate.safety import distance as _distance
from tidegate.safety import edge as _edge
from tidegate.safety import lane as _lane
from tidegate.safety import speed as _speed
from tidegate.safety import traction as _traction
from tidegate.safety.barrier import Barrier, Priority, Rows, State, barriers
from tidegate.safety.filter import Filter
from tidegate.safety.limiter import Limiter
from tidegate.safety.qp import QPBatch, QPResult, solve_qp, solve_qps
from tidegate.safety.supervisor import Supervisor

__all__ = [
    "Barrier",
    "Filter",
    "Limiter",
    "Priority",
    "QPBatch",
    "QPResult",
    "Rows",
    "State",
    "Supervisor",
    "barriers",
    "solve_qp",
    "solve_qps",
]

del _distance, _edge, _lane, _speed, _traction  # imported because they register their barriers
