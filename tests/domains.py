# SPDX-License-Identifier: Apache-2.0
"""ROS domains for tests that run side by side."""

import itertools
import os
import random

WORKERS = 4
"""At least as many as the Makefile starts."""
EACH = 25
"""Domains of a worker; above 101 their ports meet those that the system hands out."""

_turns = itertools.count(random.SystemRandom().randrange(EACH))


def random_domain() -> str:
    """A value for ``ROS_DOMAIN_ID`` that no other worker draws; one machine is seldom tested twice at a time.

    The first is drawn, then they come by turns: a node that was killed stays in its domain for seconds, and no test
    that follows may meet it.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    return str(1 + EACH * worker + next(_turns) % EACH)
