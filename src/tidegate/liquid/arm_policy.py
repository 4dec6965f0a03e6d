# SPDX-License-Identifier: Apache-2.0
"""An arm's policy in the graph: what is seen, joint states and forces in, torques that are asked for out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tidegate.bundle import Bundle
from tidegate.errors import RobotError
from tidegate.liquid.tool_policy import ToolPolicy
from tidegate.liquid.wiring import Wiring
from tidegate.records import Command, Features, JointStates, Neurons, UsedInputs, Wrench, nanoseconds
from tidegate.robot.arm import Arm, surface_normal
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.robot.tool_law import ToolLaw
from tidegate.settings.arm import ArmSettings

Made = Command | Neurons | UsedInputs
"""Torques that are asked for, neurons after a picture; after each, or in its place where there is none to tell, which
records it was made of."""


class ArmPolicy:
    """``ToolPolicy`` at each set of features, ``ToolLaw`` at each of the joint states. Every method takes one record
    and gives what it leads to: neurons, torques, both or nothing; and what these were made of.

    The law keeps the posture of the first joint states where the tool leaves it free. Before the first picture that can
    be used, and ``policy.dt_max_s`` after the last, nothing is asked for: the filter then stops the arm.

    In lock-step each of the joint states is answered, as if an answer to a picture took ``camera.latency_s``: in
    whatever order records come, the torques are the same.
    """

    def __init__(self, bundle: Bundle, settings: ArmSettings, *, lock_step: bool = False) -> None:
        """Raises:
        BundleError: as ``ToolPolicy``; RobotError: as ``Arm.from_settings``.
        """
        self._policy, self._arm = ToolPolicy(bundle, settings), Arm.from_settings(settings)
        self._normal, self._offset = surface_normal(settings), settings.safety.surface.offset
        self._longest = nanoseconds(settings.policy.dt_max_s)
        self._frame, self._lock_step = nanoseconds(1 / settings.camera.rate_hz), lock_step
        period = 1 / settings.safety.rate_hz
        self._latency = nanoseconds(max(settings.camera.latency_s, period)) if lock_step else 0
        self._kept = round(settings.policy.dt_max_s * settings.safety.rate_hz)
        self.reset()

    @property
    def runs_in(self) -> str:
        """``C`` or ``NumPy``, the liquid step."""
        return self._policy.network.runs_in

    @property
    def wiring(self) -> Wiring:
        """Of the liquid network."""
        return self._policy.network.wiring

    def reset(self) -> None:
        """Forget everything."""
        self._policy.reset()
        self._law: ToolLaw | None = None
        self._joints: JointStates | None = None
        self._features: Features | None = None
        self._wrench = self._request = Wrench(-1, np.zeros(3), np.zeros(3))
        self._seen = -1
        self._senses: deque[tuple[int, ToolSenses]] = deque(maxlen=self._kept)
        self._aims: deque[tuple[int, ToolAim]] = deque()
        self._aim: tuple[int, ToolAim] | None = None

    def touch(self, record: Wrench) -> Iterator[Made]:
        """What presses on the tool, in its axes.

        Raises:
            RobotError: in the axes of another link, or no number.
        """
        if record.frame != self._arm.tool or not np.isfinite(record.force).all():
            raise RobotError(
                f"wrench is {record.force.tolist()} N in the axes of '{record.frame}'; it must be numbers in those of "
                f"'{self._arm.tool}'"
            )
        self._wrench = record
        return self._go_on()

    def request(self, record: Wrench) -> Iterator[Made]:
        """The force that is to be pressed with: its size counts.

        Raises:
            RobotError: it is no number.
        """
        if not np.isfinite(record.force).all():
            raise RobotError(f"wrench_request is {record.force.tolist()} N; it must be numbers")
        self._request = record
        return self._go_on()

    def see(self, record: Features) -> Iterator[Made]:
        """What is seen in a picture."""
        self._features = record
        return self._go_on()

    def move(self, record: JointStates) -> Iterator[Made]:
        """Joint states: they call for torques.

        Raises:
            RobotError: a joint is missing.
        """
        self._take_joints(record)
        return self._go_on()

    def repeat(self, heard: Mapping[str, Any]) -> Iterator[Made]:
        """One answer again, of the records ``heard`` that it was made of, by name as in its ``UsedInputs``: nothing is
        waited for.

        Raises:
            RobotError: a joint is missing.
        """
        self._wrench, self._request = heard.get("wrench", self._wrench), heard.get("wrench_request", self._request)
        if "joints" in heard:
            self._take_joints(heard["joints"])
            yield from self._ask()
        if "features" in heard and self._senses:
            self._features = heard["features"]
            yield from self._look()

    def _take_joints(self, record: JointStates) -> None:
        missing = sorted(set(self._arm.joint_names) - set(record.names))
        if missing:
            raise RobotError(f"joint_states do not name '{missing[0]}'; the arm has {', '.join(self._arm.joint_names)}")
        self._joints = record

    def _go_on(self) -> Iterator[Made]:
        """All that can be said by now; in lock-step joint states may wait for a picture, and a picture for them."""
        while self._may_ask() or self._may_look():
            yield from self._ask() if self._may_ask() else self._look()

    def _may_look(self) -> bool:
        if self._features is None or not self._senses:
            return False
        stamp = self._features.stamp
        return not self._lock_step or (self._senses[-1][0] >= stamp and self._request.stamp >= stamp)

    def _look(self) -> Iterator[Made]:
        """Decide on a picture by what was sensed at its time."""
        assert self._features is not None
        stamp, values = self._features.stamp, self._features.values
        self._features, self._seen = None, stamp
        senses = next((senses for at, senses in reversed(self._senses) if at <= stamp), self._senses[0][1])
        senses = senses._replace(wanted=float(np.linalg.norm(self._request.force)))
        aim = self._policy.step(stamp, values, senses)
        if aim is not None:
            if self._aims and self._aims[-1][0] >= stamp:  # time ran back: those will not come true
                self._aims.clear()
            self._aims.append((stamp, aim))
            yield Neurons(stamp, self._policy.neurons.astype(np.float32))
        yield UsedInputs(stamp, {"features": (stamp, 0), "wrench_request": _used(self._request, stamp)}, {})

    def _may_ask(self) -> bool:
        if self._joints is None:
            return False
        now = self._joints.stamp
        due = (now - self._latency) // self._frame * self._frame  # the last picture whose answer acts by now
        return not self._lock_step or (self._wrench.stamp >= now and self._seen >= due)

    def _ask(self) -> Iterator[Made]:
        """Torques at the newest joint states, where something is to be asked for."""
        assert self._joints is not None
        record, names = self._joints, self._arm.joint_names
        self._joints = None
        order = [record.names.index(name) for name in names]
        position, velocity = record.position[order], record.velocity[order]
        if not (np.isfinite(position).all() and np.isfinite(velocity).all()):
            return
        if self._law is None:
            self._law = ToolLaw(self._arm, position)
            self._law.terms(position, velocity)
        force = max(float(self._normal @ (self._law.axes @ self._wrench.force)), 0.0)
        aim = self._acting(record.stamp)
        torque = self._law(position, velocity, aim or ToolAim(self._law.place), force)
        height = float(self._normal @ self._law.place) - self._offset
        self._senses.append((record.stamp, ToolSenses(self._law.place, self._law.velocity, force, 0.0, height)))
        if aim is not None or self._lock_step:
            yield Command(record.stamp, names, torque)
        yield UsedInputs(record.stamp, {"joints": (record.stamp, 0), "wrench": _used(self._wrench, record.stamp)}, {})

    def _acting(self, now: int) -> ToolAim | None:
        """What is asked of the tool at ``now`` [ns]."""
        while self._aims and self._aims[0][0] + self._latency <= now:
            self._aim = self._aims.popleft()
        return self._aim[1] if self._aim is not None and 0 <= now - self._aim[0] <= self._longest else None


def _used(record: Wrench, stamp: int) -> tuple[int, int] | None:
    """Stamp of a force and how much older it is than ``stamp`` [ns]; None = none was heard."""
    return None if record.stamp < 0 else (record.stamp, stamp - record.stamp)
