# SPDX-License-Identifier: Apache-2.0
"""The LSTM cell of mixed memory: the public package orders its gates otherwise and adds one to the forget gate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

BLOCKS = torch.tensor([1, 2, 0, 3])
"""Where torch's input, forget, cell and output gate are among the public package's cell, input, forget, output."""


def received(lstm: Any, order: Tensor) -> nn.LSTMCell:
    """The ``ncps.torch.lstm.LSTMCell`` as torch's; ``order`` (N,) is their number of each of our neurons."""
    cell = nn.LSTMCell(lstm.input_size, lstm.hidden_size).to(lstm.input_map.weight)
    rows = _rows(BLOCKS, order)
    with torch.no_grad():
        cell.weight_ih.copy_(lstm.input_map.weight[rows])
        cell.weight_hh.copy_(lstm.recurrent_map.weight[rows][:, order])
        cell.bias_ih.copy_(lstm.input_map.bias[rows])
        cell.bias_hh.copy_(_forget(cell))
    return cell


def sent(cell: nn.LSTMCell, lstm: Any, order: Tensor) -> None:
    """Copy ``cell`` into the ``ncps.torch.lstm.LSTMCell``; ``order`` (N,) is their number of each of our neurons."""
    rows = _rows(BLOCKS, order).argsort()
    with torch.no_grad():
        lstm.input_map.weight.copy_(cell.weight_ih[rows])
        lstm.recurrent_map.weight.copy_(cell.weight_hh[rows][:, order.argsort()])
        lstm.input_map.bias.copy_((cell.bias_ih + cell.bias_hh - _forget(cell))[rows])


def _rows(blocks: Tensor, order: Tensor) -> Tensor:
    """(4N,) their row of each of our rows."""
    return (blocks[:, None] * len(order) + order).flatten()


def _forget(cell: nn.LSTMCell) -> Tensor:
    """(4N,) one at torch's forget gate."""
    return torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(cell.hidden_size).to(cell.bias_hh)
