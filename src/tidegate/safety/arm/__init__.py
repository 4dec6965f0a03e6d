# SPDX-License-Identifier: Apache-2.0
"""The arm's filter: from wanted joint torques to safe ones. Only who imports it imports Pinocchio."""

from tidegate.safety.arm import joints as _joints
from tidegate.safety.arm import power as _power
from tidegate.safety.arm import tool as _tool
from tidegate.safety.arm.barrier import ArmBarrier, ArmPriority, ArmRows, ArmState, arm_barriers
from tidegate.safety.arm.filter import ArmFilter, ArmFiltered
from tidegate.safety.arm.guard import ArmGuard
from tidegate.safety.arm.promises import Promises, check_promises, promises
from tidegate.safety.arm.supervisor import ArmSupervisor

__all__ = [
    "ArmBarrier",
    "ArmFilter",
    "ArmFiltered",
    "ArmGuard",
    "ArmPriority",
    "ArmRows",
    "ArmState",
    "ArmSupervisor",
    "Promises",
    "arm_barriers",
    "check_promises",
    "promises",
]

del _joints, _power, _tool  # imported because they register their barriers
