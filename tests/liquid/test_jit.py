# SPDX-License-Identifier: Apache-2.0
"""Kernels are kept on disk where there is a place, and compiled all the same where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = "from tidegate.liquid.jit import kernel\n\n@kernel\ndef twice(value):\n    return 2 * value\n"


@pytest.mark.parametrize("writable", [True, False])
def test_a_kernel_runs_whether_or_not_it_can_be_kept(tmp_path: Path, writable: bool) -> None:
    place = tmp_path / "installed"
    place.mkdir()
    (place / "doubling.py").write_text(MODULE, encoding="utf-8")
    paths = os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}
    if not writable:
        (place / "__pycache__").touch()  # a file: nobody, not even root, can make the folder
    script = "from doubling import twice; print(twice(21))"
    command = [sys.executable, "-B", "-c", script]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("42\n", 0), ended.stderr
    assert bool(list(place.rglob("*.nbi"))) is writable
