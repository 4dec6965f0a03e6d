# SPDX-License-Identifier: Apache-2.0
"""The code of docs/liquid.md runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import torch


def test_the_code_of_the_page_runs_and_the_converted_network_says_the_same() -> None:
    page = (Path(__file__).parents[2] / "docs" / "liquid.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)
    inputs, dt = names["inputs"][:1], names["dt"][:1]
    with torch.no_grad():
        expected = names["trained"](inputs, timespans=dt)[0]
        torch.testing.assert_close(names["network"](inputs, dt)[0], expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(names["back"](inputs, timespans=dt)[0], expected, atol=1e-5, rtol=1e-4)
