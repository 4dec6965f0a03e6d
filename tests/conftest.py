# SPDX-License-Identifier: Apache-2.0
"""Headless pictures; and no test asserts a time: a first call that imports, or a busy machine, fails nothing."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")  # before anything imports MuJoCo
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: its threads wait in loops, on cores that others need

from hypothesis import Phase, settings

settings.register_profile("tidegate", deadline=None)
# for scripts/mutate.py: the same examples each time, and the first failure is enough
settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tidegate"))
