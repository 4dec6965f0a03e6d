# SPDX-License-Identifier: Apache-2.0
"""tidegate: a camera, nineteen liquid neurons, and a barrier between them and the motors."""

__version__ = "0.1.0"
