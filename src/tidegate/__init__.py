# SPDX-License-Identifier: Apache-2.0
"""tidegate: a camera, nineteen liquid neurons, and a barrier between them and the motors."""

import os

__version__ = "0.1.0"

os.environ.setdefault(
    "ORT_DISABLE_TELEMETRY", "1"
)  # onnxruntime reads it where it is imported; a robot reports nowhere
