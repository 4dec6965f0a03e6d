# SPDX-License-Identifier: Apache-2.0
"""One thread: tensors are small here, and threads that fight for cores cost far more than they give."""

import torch

torch.set_num_threads(1)
