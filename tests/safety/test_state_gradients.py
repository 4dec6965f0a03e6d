# SPDX-License-Identifier: Apache-2.0
"""Derivatives of the layer by state, limits and joint box: against differences of all of it, and in a closed loop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
import torch
from safety_plant import car, settings
from torch import Tensor

from tidegate import registry
from tidegate.safety.barrier import Ahead, Barrier, Priority, Rows, State
from tidegate.safety.barriernet import BarrierNet
from tidegate.safety.filter import Filter
from tidegate.safety.joints import Box, joint_box
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.lifted import LIMITS, QUANTITIES
from tidegate.settings import BarrierParameters

REACH_S = 0.3
COUNT = 160
SCALES = {
    "speed": 10.0, "force": 3e3, "curvature": 0.02, "force_low": 3e3, "force_high": 3e3, "disturbance": 0.3,
    "speed_left": 10.0, "speed_falling": 1.0, "lateral_left": 3.0, "lane.offset": 0.3, "lane.heading": 0.05,
    "lane.offset_bound": 0.1, "lane.heading_bound": 0.01, "lane.curvature_bound": 2e-3, "lane.curvature.0": 0.01,
    "lane.curvature.2": 0.02, "lane.ahead.2": 10.0, "arc.distance": 20.0, "arc.receding": 3.0, "arc.approaching": 3.0,
    "along_lane.distance": 20.0, "along_lane.receding": 3.0, "along_lane.approaching": 3.0,
    "vehicle.speed_max": 10.0, "vehicle.lateral_acceleration_max": 3.0, "vehicle.brake_guaranteed": 5.0,
    "vehicle.tyre_friction": 0.5, "safety.distance.standstill_gap": 4.0, "safety.lane.half_width": 1.5,
}  # fmt: skip
"""By what each quantity changes in the random directions."""


def draw(rng: np.random.Generator) -> State:
    """Anywhere: things near and far, a bend ahead, a limit that is coming down."""
    speed, force = rng.uniform(0, 16.4), rng.uniform(-5000, 3500)
    low, high = car().force_window(force, REACH_S)
    bends = (*rng.uniform(-0.03, 0.03, 4).tolist(),)
    lane = TrackedLane(
        rng.uniform(-0.6, 0.6), rng.uniform(-0.1, 0.1), rng.uniform(0.05, 0.3), rng.uniform(0, 0.03),
        (0.0, 6.0, 12.0, 36.0), bends, 36.0, rng.uniform(0, 0.005),
    )  # fmt: skip
    near = [Ahead(rng.uniform(5, 60), *rng.permutation([rng.uniform(0, 5), 0.0])) for _ in range(2)]
    arc, along = (thing if rng.random() < 0.4 else Ahead() for thing in near)
    if rng.random() < 0.3:  # an open road: only the speed limit, or a bend ahead, holds the car back
        bend = rng.choice([0.0, 0.12])
        lane, arc, along = replace(lane, offset_bound=math.inf, curvature=(0.0, 0.0, bend, 0.0)), Ahead(), Ahead()
        speed = rng.uniform(6.0, 11.0) if bend else rng.uniform(16.1, 16.5)
    left = (
        (speed + rng.uniform(0, 0.3), rng.uniform(0, 2), rng.uniform(3, 5)) if rng.random() < 0.6 else (0.0, 0.0, 0.0)
    )
    state = State(speed, force, rng.uniform(-0.02, 0.02), low, high, rng.uniform(-0.5, 0.5), lane, arc, along)
    return replace(state, speed_left=left[0], speed_falling=left[1], lateral_left=left[2])


def number(record: Any, name: str) -> float:
    stem, _, at = name.rpartition(".")
    return float(attrgetter(stem)(record)[int(at)] if at.isdecimal() else attrgetter(name)(record))


def detached(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: part.detach() for name, part in parts.items()}


class Case:
    """The layer as a function of everything that it can be differentiated by."""

    def __init__(self, seed: int, count: int) -> None:
        rng = np.random.default_rng(seed)
        self.net, self.states = BarrierNet(settings(), car()), [draw(rng) for _ in range(count)]
        boxes = [joint_box(car(), state.force, state.curvature, REACH_S) for state in self.states]
        force = np.where(rng.random(count) < 0.5, 3500.0, rng.uniform(-6000, 3500, count))
        self.nominal = torch.from_numpy(np.stack([force, rng.uniform(-0.1, 0.1, count)], axis=1))
        self.gains = torch.from_numpy(rng.uniform(0.6, 3.5, (count, len(self.net.gain_names))))
        self.weight = torch.from_numpy(rng.normal(size=(count, 2)))
        self.parts = {name: self._column(name) for name in SCALES} | {"box": torch.tensor(boxes, dtype=torch.float64)}
        self.directions = [
            {name: torch.from_numpy(scale * rng.normal(size=count)) for name, scale in SCALES.items()}
            | {"box": torch.from_numpy(rng.normal(size=(count, 4)) * [3e3, 3e3, 0.02, 0.02])}
            for _ in range(3)
        ]

    def _column(self, name: str) -> Tensor:
        ofs = [settings()] * len(self.states) if name in LIMITS else self.states
        return torch.tensor([number(one, name) for one in ofs], dtype=torch.float64)

    def answer(self, parts: Mapping[str, Tensor]) -> Tensor:
        """A number for each sample, in units of deviation."""
        given = {name: part for name, part in parts.items() if name not in LIMITS and name != "box"}
        rows = self.net.rows(self.states, parts["box"], given, {name: parts[name] for name in LIMITS})
        safe = self.net(self.nominal, self.gains, rows) / self.net.get_buffer("scale")
        return (safe * self.weight).sum(dim=1)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_derivatives_by_state_limits_and_box_are_those_of_the_whole_layer(seed: int) -> None:
    """Along random directions in all of them at once, wherever both sides agree: elsewhere there is a kink."""
    case, step = Case(seed, COUNT), 1e-7
    parts = {name: part.clone().requires_grad_() for name, part in case.parts.items()}
    middle = case.answer(parts)
    middle.sum().backward()
    grads = {name: part.grad for name, part in parts.items() if part.grad is not None}
    assert all(torch.isfinite(grad).all() for grad in grads.values())
    silent = [name for name, grad in grads.items() if (grad != 0).sum() < 3]
    assert not silent
    clear_ones = 0
    for direction in case.directions:
        up, down = (
            case.answer({name: part + sign * step * direction[name] for name, part in case.parts.items()})
            - middle.detach()
            for sign in (1.0, -1.0)
        )
        along = sum((grads[name] * direction[name]).reshape(COUNT, -1).sum(dim=1) for name in grads) * step
        size = 1e-8 + 1e-3 * torch.maximum(up.abs(), down.abs())
        clear = (up + down).abs() < size
        clear_ones += int(clear.sum())
        assert (((up - down) / 2 - along).abs()[clear] < 2 * size[clear]).all()
    assert clear_ones > 0.95 * COUNT * len(case.directions)


def test_what_is_given_counts_in_place_of_the_state_and_the_settings() -> None:
    """As the live filter of such a state and such a robot, derivatives or not."""
    case = Case(4, 30)
    other = [replace(state, speed=3.0, lane=replace(state.lane, offset=0.2)) for state in case.states if state.lane]
    tight = replace(settings(), vehicle=replace(settings().vehicle, speed_max=2.0))
    given = {"speed": torch.tensor(3.0), "lane.offset": torch.full((30,), 0.2, dtype=torch.float64)}
    live, box = Filter(tight, car()), case.parts["box"]
    for wanted in (False, True):
        limit = {"vehicle.speed_max": torch.tensor(2.0, requires_grad=wanted)}
        rows = case.net.rows(case.states, box, given, limit)
        safe = case.net(case.nominal, case.gains, rows)
        assert safe.requires_grad == wanted
        for at, state in enumerate(other):
            gains = dict(zip(case.net.gain_names, case.gains[at].tolist(), strict=True))
            told = live(state, tuple(case.nominal[at].tolist()), gains, Box(*box[at].tolist()))
            assert safe[at].tolist() == pytest.approx([told.force, told.curvature], rel=1e-6, abs=1e-7)
            assert rows.backup[at].tolist() == list(live.fallback(state, Box(*box[at].tolist())))


def test_rows_are_to_the_bit_those_of_the_live_filter() -> None:
    case, live = Case(5, 30), Filter(settings(), car())
    parts = {name: part.requires_grad_() for name, part in case.parts.items() if name not in LIMITS and name != "box"}
    limits = {name: case.parts[name].requires_grad_() for name in LIMITS}
    rows = case.net.rows(case.states, case.parts["box"], parts, limits)
    for at, state in enumerate(case.states):
        for told, right in zip((rows.G, rows.fixed, rows.scaled, rows.cap), live.rows(state), strict=False):
            np.testing.assert_array_equal(told[at].detach().numpy(), right)


def test_what_a_state_lacks_is_passed_over() -> None:
    """No lane, nothing ahead, fewer knots."""
    bare = State(speed=12.0, force_low=-9e3, force_high=9e3)
    seen = replace(bare, lane=TrackedLane(0.1, 0.0, 0.1, 0.0, (0.0, 9.0), (0.0, 0.01), 9.0))
    net = BarrierNet(settings(), car())
    names = ("lane.offset", "lane.curvature.1", "lane.curvature.2", "arc.distance")
    given = {name: torch.full((2,), 0.15, dtype=torch.float64, requires_grad=True) for name in names[:3]}
    given["arc.distance"] = torch.full((2,), torch.inf, dtype=torch.float64, requires_grad=True)
    wish = torch.tensor([[3500.0, 0.1]] * 2, dtype=torch.float64)
    rows = net.rows([bare, seen], [Box(-8000.0, 3800.0, -0.2, 0.2)] * 2, given)
    safe = net(wish, torch.full((2, len(net.gain_names)), 2.0, dtype=torch.float64), rows)
    safe.sum().backward()
    grads = {name: part.grad.tolist() for name, part in given.items() if part.grad is not None}
    assert grads["lane.curvature.2"] == grads["arc.distance"] == [0.0, 0.0]
    assert grads["lane.offset"][0] == 0.0 != grads["lane.offset"][1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("velocity", "'velocity' is no quantity of the state; there are speed, "),
        ("lane.curvature", "'lane.curvature' is no quantity of the state; .*lane.curvature.0 …"),
        ("lane.curvature.-1", "is no quantity of the state"),
        ("lane.offset.0", "is no quantity of the state"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, message: str) -> None:
    net = BarrierNet(settings(), car())
    with pytest.raises(ValueError, match=message):
        net.rows([State()], [Box(-1.0, 1.0, -0.1, 0.1)], {name: torch.tensor(1.0)})
    with pytest.raises(ValueError, match=f"'{name}' is no quantity of the settings; there are vehicle.speed_max, "):
        net.rows([State()], [Box(-1.0, 1.0, -0.1, 0.1)], limits={name: torch.tensor(1.0)})


def test_every_number_of_a_state_is_told_of() -> None:
    told = BarrierNet.__doc__ or ""
    assert all(f"``{name}``" in told or f"``{name.replace('along_lane', 'arc')}``" in told for name in QUANTITIES)
    assert all(f"``{name}``" in told for name in LIMITS)


def test_a_barrier_that_computes_by_other_functions_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a user's own, with ``math``: it drives, and gives the layer rows, but no derivative by the state."""

    class Root(Barrier):
        priority, rows = Priority.COMFORT, 1

        def fill(self, state: State, rows: Rows) -> float:
            rows.set(0, -1.0, 0.0, -math.sqrt(state.speed))
            return 0.0

    monkeypatch.setitem(registry.barriers._parts, "root", Root)
    safety = replace(settings().safety, barriers={"root": BarrierParameters("root")})
    net = BarrierNet(replace(settings(), safety=safety), car())
    state, boxes = [State(speed=4.0)], [Box(-1.0, 1.0, -0.1, 0.1)]
    rows = net.rows(state, boxes, {"speed": torch.tensor(9.0)})
    assert rows.fixed.tolist() == [[-3.0]]
    with pytest.raises(TypeError, match=r"must be real number, not Dual; .*tidegate\.safety\.dual"):
        net.rows(state, boxes, {"speed": torch.tensor(9.0, requires_grad=True)})
    with pytest.raises(TypeError, match=r"must be real number, not NoneType$"):
        net.rows([State(speed=None)], boxes)  # type: ignore[arg-type]


class Loop:
    """Cars, each behind something that stands, full throttle all the way: the filter, at 10 Hz, holds them back."""

    PERIOD, STEPS = 0.1, 20

    def __init__(self) -> None:
        slow = replace(settings(), safety=replace(settings().safety, rate_hz=1 / self.PERIOD))
        self.net = BarrierNet(slow, car())
        self.speed = torch.tensor([8.0, 10.0, 12.0], dtype=torch.float64)
        self.distance = torch.tensor([32.0, 40.0, 54.0], dtype=torch.float64)

    def drive(self, gain: Tensor, distance: Tensor, *, through_state: bool = True) -> Tensor:
        """Distances (3,) [m] that are left of ``distance`` (3,) with an outermost ``gain`` [1/s]."""
        speed, force = self.speed, torch.zeros(3, dtype=torch.float64)
        gains = gain.expand(3, len(self.net.gain_names))
        wish = torch.tensor([[3000.0, 0.0]], dtype=torch.float64).expand(3, 2)
        bend = torch.full((3,), 0.1, dtype=torch.float64)
        states = [State(along_lane=Ahead(1.0)) for _ in range(3)]
        for _ in range(self.STEPS):
            windows = [torch.stack(list(map(torch.as_tensor, car().force_window(one, self.PERIOD)))) for one in force]
            low, high = torch.stack(windows).unbind(dim=1)
            given = {"speed": speed, "force": force, "force_low": low, "force_high": high}
            given["along_lane.distance"] = distance
            box = torch.stack((low, high, -bend, bend), dim=1)
            rows = self.net.rows(states, box, given if through_state else detached(given))
            force = self.net(wish, gains, rows)[:, 0]
            following = speed + self.PERIOD * force / car().effective_mass
            speed, distance = following, distance - self.PERIOD * (speed + following) / 2
        return distance


def test_derivatives_through_the_states_of_a_closed_loop() -> None:
    """By the gain and by where the cars began, over all steps: those of the loop; others without the states'."""
    loop, gain = Loop(), torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
    begin = loop.distance.clone().requires_grad_()
    told = torch.autograd.grad(loop.drive(gain, begin).sum(), (gain, begin))
    without = torch.autograd.grad(loop.drive(gain, begin, through_state=False).sum(), (gain, begin))
    step = 1e-5
    with torch.no_grad():
        for at, (more, further) in enumerate(((step, 0.0), (0.0, step))):
            up, down = (loop.drive(gain + sign * more, begin + sign * further).sum() for sign in (1.0, -1.0))
            assert told[at].sum().item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-4)
    assert without[1].tolist() == [1.0] * 3  # as if a car braked no later for what is further off
    assert (told[1] < 0.9).all()


def test_a_gain_is_found_through_a_closed_loop() -> None:
    """The one with which the cars are where they shall be in the end: by Newton's method, through all steps."""
    loop, gain = Loop(), torch.tensor(2.0, dtype=torch.float64)
    with torch.no_grad():
        aim = loop.drive(torch.tensor(0.8, dtype=torch.float64), loop.distance)
    for _ in range(6):
        gain.requires_grad_()
        far = (loop.drive(gain, loop.distance) - aim).sum()
        (slope,) = torch.autograd.grad(far, gain)
        gain = (gain - far / slope).detach().clamp(0.55, 3.9)
    assert gain.item() == pytest.approx(0.8, abs=1e-3)
