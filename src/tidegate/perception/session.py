# SPDX-License-Identifier: Apache-2.0
"""A bundle's convolutional network under onnxruntime, on one thread."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray


class Session:
    """Runs as much of ``model`` as the outputs that are asked for need.

    Raises:
        Exception: onnxruntime's, which have no common base, where the model cannot be run.
    """

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.enable_cpu_mem_arena = False
        self._partial = onnxruntime.RunOptions()
        self._partial.only_execute_path_to_fetches = True
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, image: NDArray[np.float32], outputs: list[str]) -> list[NDArray[np.float32]]:
        """``outputs`` for ``image`` (3, h, w), each without its batch (and a map without its channel)."""
        found = self._session.run(outputs, {"image": image[None]}, self._partial)
        return [array[0, 0] if array.ndim == 4 else array[0] for array in found]
