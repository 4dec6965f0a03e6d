# SPDX-License-Identifier: Apache-2.0
"""The examples' scripts import one another by name; the zoo is a package of the repository's folder."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "examples/barriernet"), str(ROOT)]
