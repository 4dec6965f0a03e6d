# SPDX-License-Identifier: Apache-2.0
"""The only import of MuJoCo: headless, with one clear message when it or the graphics library is absent."""

from __future__ import annotations

import os

from tidegate.errors import DependencyError

os.environ.setdefault("MUJOCO_GL", "egl")
# Mesa's software renderer draws in the calling thread: waiting for threads of its own takes longer than so small a
# picture, and other drives use the other cores
os.environ.setdefault("LP_NUM_THREADS", "0")

_INSTALL_GL = "install it with 'apt-get install libegl1 libgl1', or 'apt-get install libosmesa6' and MUJOCO_GL=osmesa"

try:
    import mujoco
except ModuleNotFoundError as error:
    if error.name != "mujoco":
        raise DependencyError(f"simulation: no {os.environ['MUJOCO_GL']} ({error}); {_INSTALL_GL}") from error
    raise DependencyError("simulation: MuJoCo is absent; install it with 'pip install tidegate[sim]'") from error
except (ImportError, AttributeError, OSError) as error:  # what PyOpenGL raises depends on what it did not find
    raise DependencyError(f"simulation: no {os.environ['MUJOCO_GL']} ({error}); {_INSTALL_GL}") from error


def no_graphics(error: Exception) -> DependencyError:
    """The error to raise when a renderer cannot be made."""
    return DependencyError(f"simulation: {os.environ['MUJOCO_GL']} gives no picture ({error}); {_INSTALL_GL}")


__all__ = ["mujoco", "no_graphics"]
