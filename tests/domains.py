# SPDX-License-Identifier: Apache-2.0
"""ROS domains for tests that run side by side."""

import os
import random

WORKERS = 4
"""At least as many as the Makefile starts."""
EACH = 25
"""Domains of a worker; above 101 their ports meet those that the system hands out."""


def random_domain() -> str:
    """A value for ``ROS_DOMAIN_ID`` that no other worker draws; one machine is seldom tested twice at a time."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    return str(1 + EACH * worker + random.SystemRandom().randrange(EACH))
