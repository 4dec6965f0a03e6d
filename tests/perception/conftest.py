# SPDX-License-Identifier: Apache-2.0
"""One thread: tensors are small here, and threads that fight for cores cost far more than they give."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import torch

torch.set_num_threads(1)
