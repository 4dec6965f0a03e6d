# SPDX-License-Identifier: Apache-2.0
"""Liquid neurons on a neural-circuit wiring: features → wanted command and barrier gains."""

from tidegate.liquid.generators import ncp
from tidegate.liquid.policy import LiquidPolicy
from tidegate.liquid.wiring import Wiring

__all__ = ["LiquidPolicy", "Wiring", "ncp"]
