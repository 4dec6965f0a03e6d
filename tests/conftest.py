# SPDX-License-Identifier: Apache-2.0
"""No test asserts a time: a first call that imports, or a busy machine, fails nothing."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("tidegate", deadline=None)
settings.load_profile("tidegate")
