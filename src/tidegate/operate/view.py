# SPDX-License-Identifier: Apache-2.0
"""A running graph as it was heard: rates and ages by topic, the newest records, who acts, who is silent."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.messages.graph import GRAPH
from tidegate.messages.rates import EVERY_OUTPUT, FROM_FRAME, FROM_TICK, TRUSTED, rate_of
from tidegate.records import NANOSECONDS, Status, seconds

CAMERA = "camera/image_raw"
EXPECTED = (*TRUSTED, "points", *FROM_FRAME, *FROM_TICK)
"""What comes all the time while a graph is up. The camera's frames themselves are not fetched, least of all over a
network: ``health`` comes once per frame, with the frame's stamp. Of the outputs a car has one kind."""
HEARD = GRAPH["tidegate_watch"].subscribes
BARE = ("effort_controller/commands", "emergency_stop")
"""Topics whose messages begin with no time."""
WINDOW_S = 2.0
"""Time over which rates are taken."""
QUIET_S = 1.0
"""A topic that is expected and says nothing for so long is silent."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One topic.

    ``publishers``: full names of the nodes. ``rate_hz``: by stamps, which slow motion does not bend; NaN = fewer than
    two. ``age_s``: of the newest stamp; NaN = none. ``quiet_s``: since something came; inf = nothing came.
    """

    publishers: tuple[str, ...] = ()
    rate_hz: float = math.nan
    age_s: float = math.nan
    quiet_s: float = math.inf


@dataclass(frozen=True, slots=True)
class View:
    """A moment of a graph.

    Attributes:
        namespace, domain: where it was looked for.
        now: time [ns] by ``/clock`` where it is ``simulated``, else by the system.
        topics: what was heard, by relative name; the camera's image has publishers alone.
        records: the newest record of each topic that carries one.
        statuses: the newest entry of ``/diagnostics`` by its node.
        acted: barriers that changed the command within the last second.
        pictures: absolute name of the camera's topic where it is a driver's own.
    """

    namespace: str
    domain: str
    now: int
    simulated: bool
    topics: Mapping[str, Seen] = field(default_factory=dict)
    records: Mapping[str, Any] = field(default_factory=dict)
    statuses: Mapping[str, Status] = field(default_factory=dict)
    acted: frozenset[str] = frozenset()
    pictures: str = ""


class Meter:
    """Stamps and times of receipt of one topic within the last ``WINDOW_S``."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[int, int | None]] = deque()
        self._last: int | None = None

    def heard(self, steady: int, stamp: int | None) -> None:
        """A message came at ``steady`` [ns] of a steady clock; ``stamp`` [ns] None = it has none."""
        self._last = steady
        self._arrivals.append((steady, stamp))
        while steady - self._arrivals[0][0] > WINDOW_S * NANOSECONDS:
            self._arrivals.popleft()

    def seen(self, steady: int, now: int, publishers: tuple[str, ...]) -> Seen:
        """The topic at ``steady``, which is ``now`` by the clock of the stamps."""
        if self._last is None:
            return Seen(publishers)
        recent = [one for one in self._arrivals if steady - one[0] <= WINDOW_S * NANOSECONDS]
        rate = rate_of(stamp for _, stamp in recent if stamp is not None)
        newest = self._arrivals[-1][1]
        age = math.nan if newest is None else seconds(now - newest)
        return Seen(publishers, rate, age, seconds(steady - self._last))


def expected(view: View) -> tuple[str, ...]:
    """What ought to come all the time; of the outputs, those that are published."""
    return (*EXPECTED, *(topic for topic in EVERY_OUTPUT if view.topics.get(topic, Seen()).publishers))


def silent(view: View) -> Iterator[str]:
    """What ought to come and does not, each in words."""
    if not any(view.topics.get(topic, Seen()).publishers for topic in (CAMERA, *EXPECTED)):
        place = f" in {view.namespace}" if view.namespace.strip("/") else ""
        yield f"nobody publishes anything{place} in domain {view.domain}"
        return
    if not view.topics.get(CAMERA, Seen()).publishers:
        yield f"{view.pictures or CAMERA}: nobody publishes it"
    for topic in expected(view):
        seen = view.topics.get(topic, Seen())
        if not seen.publishers:
            yield f"{topic}: nobody publishes it"
        elif math.isinf(seen.quiet_s):
            yield f"{topic}: nothing came from {', '.join(seen.publishers)}"
        elif seen.quiet_s > QUIET_S:
            yield f"{topic}: nothing from {', '.join(seen.publishers)} for {seen.quiet_s:.1f} s"
