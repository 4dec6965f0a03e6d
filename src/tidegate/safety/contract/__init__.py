# SPDX-License-Identifier: Apache-2.0
"""What a barrier must keep, checked on drawn states and in a simulated model; for tests, no part of the live path."""

from tidegate.safety.contract.checks import CHECKS, Contract
from tidegate.safety.contract.ideal import IdealCar, draw

__all__ = ["CHECKS", "Contract", "IdealCar", "draw"]
