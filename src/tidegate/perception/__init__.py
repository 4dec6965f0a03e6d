# SPDX-License-Identifier: Apache-2.0
"""Camera frame → features, lane estimate with a calibrated bound, and the health of the image."""

from tidegate.perception.perception import Perception

__all__ = ["Perception"]
