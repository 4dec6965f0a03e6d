# SPDX-License-Identifier: Apache-2.0
"""Where the textbook barrier fails in traffic merging although its row holds at every tick, and ours does not.

The ego wants u = 1 m/s² all along; gains are constant. First, between two ticks the row says nothing. Second, the brake
does not reach what the row asks for.
"""

from __future__ import annotations

import torch
from common import Case, programme, verified
from merging import LimitedMerging, Merging
from torch import Tensor

WISH = 1.0
DIPS: dict[str, tuple[Case, float]] = {
    "p = 1, no limit on the brake": (Merging(), 1.0),
    "p = 4, u ≥ −0.8 m/s²": (LimitedMerging(), 4.0),
}
"""What is wished for is the same in both; the case and its gain [1/s]."""


def dip(case: Case, gain: float, ours: bool) -> Tensor:
    """b (T · parts + 1,) along the published start, with the textbook row or with ours."""
    (state,) = case.shown().values()
    wish, gains = state.new_tensor([[WISH]]), state.new_tensor([[[gain]]])
    seen = [case.barrier(state)]
    for _ in range(case.steps):
        if ours:
            u, _ = verified(case, state, wish, gains)
        else:
            u, _ = programme(case, state, wish, gains, reserve=False)
        passed = case.hold(state, u)
        seen += [case.barrier(at) for at in passed]
        state = passed[-1]
    return torch.cat(seen)[:, 0]


def dips() -> dict[str, dict[str, float]]:
    """min b [m] of each, textbook and ours."""
    return {
        name: {kind: float(dip(case, gain, kind == "ours").min()) for kind in ("textbook", "ours")}
        for name, (case, gain) in DIPS.items()
    }
