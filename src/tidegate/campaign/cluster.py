# SPDX-License-Identifier: Apache-2.0
"""Episodes as tasks of a Ray cluster (the only home of ``ray``)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from tidegate.campaign.fleet import Ended, Fleet
from tidegate.errors import ClusterError, DependencyError

J = TypeVar("J")
R = TypeVar("R")

AHEAD = 2
"""Tasks at the cluster for each of its processors: the next one is there when one ends."""
KNOCK_S = 10.0
"""How long an address may take to answer."""
ASKED_EVERY_S = 5.0
"""How often the cluster is asked how many processors it has: nodes come and go."""


@contextmanager
def cluster(work: Callable[[J], R], address: str) -> Iterator[Fleet[J, R]]:
    """The processors of the Ray cluster at ``address`` ('auto', 'host:port' or 'ray://host:port') that do ``work``.

    Raises:
        DependencyError: Ray is not installed here; ClusterError: there is no such cluster, or its workers cannot
            import this package.
    """
    try:
        import ray
    except ImportError as error:
        raise DependencyError(f"--address needs Ray ({error}); type: pip install 'tidegate[cluster]'") from error
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # of many kinds, by address and version
        raise ClusterError(f"no Ray cluster at '{address}': {' '.join(str(error).split())}") from error
    try:
        yield _Tasks(ray, work, address)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """See that somebody listens there: Ray by itself asks for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), KNOCK_S).close()


class _Tasks(Generic[J, R]):
    """Ray retries nothing by itself: who counts here knows which job has cost how many workers."""

    def __init__(self, ray: Any, work: Callable[[J], R], address: str) -> None:
        self._ray, self._work, self._address = ray, work, address
        self._task = ray.remote(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")(_named)
        self._busy: dict[Any, J] = {}
        self._room, self._asked = 0, float("-inf")

    @property
    def free(self) -> int:
        if time.monotonic() - self._asked > ASKED_EVERY_S:
            self._room = AHEAD * max(1, int(self._ray.cluster_resources().get("CPU", 0)))
            self._asked = time.monotonic()
        return max(0, self._room - len(self._busy))

    def start(self, job: J) -> None:
        self._busy[self._task.remote(self._work, job)] = job

    def ended(self) -> list[Ended[J, R]]:
        under_way = list(self._busy)
        self._ray.wait(under_way, num_returns=1)
        done, _ = self._ray.wait(under_way, num_returns=len(under_way), timeout=0)
        return [self._result(reference) for reference in done]

    def _result(self, reference: Any) -> Ended[J, R]:
        job, errors = self._busy.pop(reference), self._ray.exceptions
        try:
            worker, result = self._ray.get(reference)
        except errors.RayTaskError as error:
            cause = str(error).strip().splitlines()[-1]
            raise ClusterError(
                f"a worker at '{self._address}' cannot do its work ({cause}); every node needs this tidegate"
            ) from error
        except errors.RayError:  # its worker or its node died, or the node that held the result
            return Ended(job, None)
        return Ended(job, result, worker)


def _named(work: Callable[[J], R], job: J) -> tuple[str, R]:
    import ray

    context = ray.get_runtime_context()
    return f"{ray.util.get_node_ip_address()} {context.get_node_id()[:8]} {os.getpid()}", work(job)
