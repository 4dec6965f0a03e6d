# SPDX-License-Identifier: Apache-2.0
"""Every built-in barrier keeps the contract, and the contract notices one that does not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from safety_plant import car, settings

from tidegate import registry
from tidegate.errors import ContractError
from tidegate.robot import Car, MotionLimits
from tidegate.safety.barrier import Barrier, Priority, Row, Rows, State
from tidegate.safety.contract import CHECKS, Contract, IdealCar, draw
from tidegate.safety.distance import Distance
from tidegate.safety.lane import Lane
from tidegate.safety.lowering import Lowering
from tidegate.safety.speed import Speed
from tidegate.safety.traction import Lateral
from tidegate.settings import BarrierParameters, Settings, setting

HIGHEST = settings().policy.gain_high
ROAD = ("edge", "lane", "lateral", "traction")
"""What keeps the car on the road."""


@cache
def robot() -> Settings:
    """The robot's file, without the side slip that ``lane`` counts: the model's wheels have none, and it shifts ψ₁."""
    lane = dataclasses.replace(settings().safety.lane, drift_offset=0.0)
    return dataclasses.replace(settings(), safety=dataclasses.replace(settings().safety, lane=lane))


def start(**given: Any) -> Callable[[np.random.Generator, Settings, Car], IdealCar]:
    return lambda rng, file, body: draw(rng, file, body, **given)


def unsure(rng: np.random.Generator, robot: Settings, body: Car) -> IdealCar:
    """Around the error bounds at which ``sight`` begins to slow down."""
    return draw(rng, robot, body, bound=(rng.uniform(0.3, 1.2), 0.02, rng.uniform(0.0, 0.004)))


def misjudging(rng: np.random.Generator, robot: Settings, body: Car) -> IdealCar:
    """A slope that is known as well as ``speed`` counts on."""
    return draw(rng, robot, body, misjudged=rng.uniform(-1.0, 1.0) * robot.safety.disturbance_margin)


def misled(rng: np.random.Generator, robot: Settings, body: Car, **given: Any) -> IdealCar:
    """Told a lane and a slope that are as wrong as is counted, or less wrong."""
    lane = robot.safety.lane
    bound = rng.uniform(0.05, lane.bound_cap), rng.uniform(0.0, lane.heading_cap), rng.uniform(0.0, lane.curvature_cap)
    share = np.where(rng.random(3) < 0.5, rng.choice([-1.0, 1.0], 3), rng.uniform(-1.0, 1.0, 3))
    one = misjudging(rng, robot, body)
    return dataclasses.replace(one, bound=bound, error=tuple((share * bound).tolist()), **given)


def unsure_and_misjudging(rng: np.random.Generator, robot: Settings, body: Car) -> IdealCar:
    """Both."""
    return dataclasses.replace(misjudging(rng, robot, body), bound=unsure(rng, robot, body).bound)


BUILT_IN = {
    "speed": Contract(robot(), "speed", misjudging, speeds=(10.0, 16.0), margin=2 * robot().safety.disturbance_margin),
    # in the bend itself the row still brakes as if the knot came nearer
    "curve": Contract(
        robot(),
        "curve",
        start(offset=0.0, heading=0.0),
        (4.0, 16.0),
        margin=robot().safety.curve_deceleration + robot().safety.disturbance_margin,
        beside=ROAD,
    ),
    "sight": Contract(robot(), "sight", unsure, (2.0, 16.0), margin=robot().safety.disturbance_margin, beside=ROAD),
    # the margin for the hold; what the steering's slew costs stays inside the error bound
    "lane": Contract(
        robot(),
        "lane",
        start(bound=(0.1, 0.0, 0.0)),  # a heading that may be wrong shifts ψ₁
        (1.0, 16.0),
        margin=0.5,
        reserve=0.1,
        beside=("edge", "lateral", "traction", "curve", "speed"),
    ),
    "edge": Contract(robot(), "edge", speeds=(0.0, 5.5), reserve=0.05),
    # the limit falls with the square of a speed that grows during the hold
    "lateral": Contract(robot(), "lateral", reserve=0.05),
    # the polygon's sides lie inside the circle
    "traction": Contract(robot(), "traction", margin=0.6, reserve=0.05),
    "distance": Contract(robot(), "distance", speeds=(0.0, 16.0)),
}


# what an error costs is no margin of the row, so none is asked for
MISLED = {
    "curve": Contract(
        robot(),
        "curve",
        lambda *robot: dataclasses.replace(misled(*robot), offset=0.0, heading=0.0),
        (4.0, 16.0),
        margin=math.inf,
        beside=ROAD,
    ),
    "sight": Contract(robot(), "sight", unsure_and_misjudging, (2.0, 16.0), margin=math.inf, beside=ROAD),
    "lane": Contract(
        robot(),
        "lane",
        misled,
        (1.0, 16.0),
        margin=math.inf,
        beside=("edge", "lateral", "traction", "curve", "speed"),
    ),
    "edge": Contract(robot(), "edge", misled, speeds=(0.0, 5.5), reserve=0.05),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", MISLED)
def test_a_built_in_barrier_keeps_the_contract_where_it_is_told_wrong(name: str, check: str) -> None:
    getattr(MISLED[name], check)()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", robot().safety.barriers)
def test_a_built_in_barrier_keeps_the_contract(name: str, check: str) -> None:
    getattr(BUILT_IN[name], check)()


def test_the_built_in_barriers_are_tried_with_lowered_limits_and_with_errors_of_either_sign() -> None:
    for contract in (*BUILT_IN.values(), *MISLED.values()):
        states = [car.state() for car in contract._drawn()]
        for part in ("speed_left", "lateral_left"):
            assert 0.2 < np.mean([getattr(state, part) > 0 for state in states]) < 0.8
    for contract in MISLED.values():
        if contract.name == "sight":
            continue  # no error of the lane
        errors = np.array([car.error for car in contract._drawn()])
        bounds = np.array([car.bound for car in contract._drawn()])
        assert (np.abs(errors) <= bounds).all()
        assert 0.4 < (errors > 0).mean() < 0.6
        assert (np.abs(errors) == bounds).mean() > 0.4


Try = Callable[..., Contract]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Try:
    """The contract of a class as if the robot's file named it."""

    def made(kind: type[Barrier], **options: Any) -> Contract:
        monkeypatch.setitem(registry.barriers._parts, "tried", kind)
        safety = dataclasses.replace(robot().safety, barriers={"tried": kind.Parameters(type="tried")})
        return Contract(dataclasses.replace(robot(), safety=safety), "tried", **options)

    return made


def refused(contract: Contract, check: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        getattr(contract, check)()


def test_a_barrier_that_the_robot_has_not_is_named() -> None:
    off = dataclasses.replace(
        settings().safety,
        barriers={"lane": BarrierParameters(type="lane", enabled=False), "speed": BarrierParameters(type="speed")},
    )
    for name in ("walls", "lane"):
        refused(
            Contract(dataclasses.replace(settings(), safety=off), name),
            "docs",
            f"no barrier '{name}' is in use; safety.barriers has speed$",
        )


SAID = "h = v_max − v, relative degree 1.\nTrusted inputs: x.\nGuarantee: x.\nAssumption: x."


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("h = ", "does not say h$"),
        ("degree 1", "relative degree"),
        ("Trusted inputs", "'Trusted inputs:'"),
        ("Guarantee", "'Guarantee:'"),
        ("Assumption", "'Assumption:'"),
    ],
)
def test_what_a_docstring_does_not_say_is_named(tried: Try, gone: str, words: str) -> None:
    class Silent(Speed):
        __doc__ = SAID.replace(gone, "")

    refused(tried(Silent), "docs", f"Silent: its docstring .*{words}")


def test_a_docstring_is_not_inherited(tried: Try) -> None:
    class Heir(Speed):
        pass

    refused(tried(Heir), "docs", "Heir: its docstring does not say h")


def test_rows_without_a_unit_are_told(tried: Try) -> None:
    class Bare(Speed):
        __doc__ = SAID
        unit = ""

    refused(tried(Bare), "docs", "Bare: 'unit' does not say what its rows compare")


def test_a_parameter_without_meaning_or_unit_is_named(tried: Try) -> None:
    @dataclass(frozen=True, slots=True)
    class Bare(BarrierParameters):
        gap: float = 1.0

    @dataclass(frozen=True, slots=True)
    class Unitless(BarrierParameters):
        gap: float = setting(1.0, "", "kept")

    for parameters, words in ((Bare, "'gap' has no setting"), (Unitless, "'gap' has no unit")):

        class Odd(Speed):
            __doc__ = SAID
            Parameters = parameters

        refused(tried(Odd), "docs", f"Odd: parameter {words}")


def spoilt(how: Callable[[State, Rows], float]) -> type[Barrier]:
    """A barrier with two rows that does whatever ``how`` says."""

    class Spoilt(Barrier):
        __doc__ = SAID
        priority = Priority.SPEED
        rows = 2

        def fill(self, state: State, rows: Rows) -> float:
            return how(state, rows)

    return Spoilt


def changes(state: State, rows: Rows) -> float:
    state.speed += 1.0
    return 1.0


def forgetful(state: State, rows: Rows) -> float:
    return float(np.random.default_rng().random())


def lost(state: State, rows: Rows) -> float:
    return math.nan


def beyond(state: State, rows: Rows) -> float:
    rows.set(2, -1.0, 0.0, 0.0)
    return 1.0


def endless(state: State, rows: Rows) -> float:
    rows.set(1, -1.0, 0.0, math.inf)
    return 1.0


def senseless(state: State, rows: Rows) -> float:
    rows.set(0, math.nan, 0.0, 0.0)
    return 1.0


def aimless(state: State, rows: Rows) -> float:
    rows.set(0, 0.0, 0.0, -1.0)
    return 1.0


def blind(state: State, rows: Rows) -> float:
    rows.set(0, 0.0, 1.0, state.lane.offset)  # type: ignore[union-attr]
    return 1.0


def idle(state: State, rows: Rows) -> float:
    return math.inf


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (changes, "changes the state"),
        (forgetful, "something else when it is asked again"),
        (lost, "h is nan"),
        (beyond, "fill raises IndexError: row 2 of a barrier with 2 rows"),
        (endless, "row 1 is not finite"),
        (senseless, "row 0 is not finite"),
        (aimless, "row 0 does not depend on the command"),
        (blind, "fill raises AttributeError: 'NoneType' .*; with State\\(.* lane=None"),
        (idle, "of 300 states of 'start' only 0 are such that it has a row"),
    ],
)
def test_rows_that_cannot_be_are_told(tried: Try, how: Callable[[State, Rows], float], words: str) -> None:
    refused(tried(spoilt(how)), "rows", rf"barrier 'tried' \(Spoilt\): .*{words}")


def test_nothing_that_starts_inside_is_told(tried: Try) -> None:
    refused(tried(spoilt(idle)), "invariance", "draws no car where h ≥ 0")


class Late(Speed):
    """h = v_max − ε − v, relative degree 1, with a row that forgets what the slope does.

    Trusted inputs: wheel speed. Guarantee: none. Assumption: a flat road.
    """

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        h = self._limit - state.speed
        rows.set(0, -1.0 / self._mass, 0.0, 0.0, h, -state.force_low / self._mass)
        return h


class Scaled(Speed):
    """h = 2 (v_max − ε − v), relative degree 1, with rows of half of it.

    Trusted inputs: x. Guarantee: x. Assumption: x.
    """

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        return 2 * super().fill(state, rows)


def test_a_row_that_allows_more_than_the_derivative_is_told_with_both_numbers(tried: Try) -> None:
    downhill = tried(Late, start=start(slope=-0.05), speeds=(10.0, 16.0))
    refused(downhill, "derivatives", r"row 0 leaves at force .* N, curvature .*it allows too much; the car has speed")
    dataclasses.replace(downhill, start=start(slope=0.0)).derivatives()


class Final(Speed):
    """h = v_max − ε − v, relative degree 1, with a row that forgets how fast a lowered limit comes down.

    Trusted inputs: x. Guarantee: x. Assumption: x.
    """

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        return super().fill(dataclasses.replace(state, speed_falling=0.0), rows)


def test_a_row_that_does_not_follow_a_limit_on_its_way_down_is_told(tried: Try) -> None:
    margin = 2 * settings().safety.disturbance_margin
    for left in (0.0, 20.0):
        contract = tried(Final, start=start(speed_left=left), speeds=(10.0, 16.0), margin=margin)
        if left:
            refused(contract, "derivatives", "it allows too much; the car has .* speed_left 20")
        else:
            contract.derivatives()


class Credulous(Lane):
    """h = w − |d|, relative degree 2, with a row that believes what it is told of the lane.

    Trusted inputs: x. Guarantee: x. Assumption: x.
    """

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        lane = state.lane
        sure = None if lane is None else dataclasses.replace(lane, **dict.fromkeys(self.ignored, 0.0))
        return super().fill(dataclasses.replace(state, lane=sure), rows)

    ignored: tuple[str, ...] = ("offset_bound", "heading_bound", "curvature_bound")


@pytest.mark.parametrize("ignored", [("offset_bound",), ("heading_bound",), ("curvature_bound",)])
def test_a_row_that_counts_no_error_of_the_lane_is_told(
    tried: Try, monkeypatch: pytest.MonkeyPatch, ignored: tuple[str, ...]
) -> None:
    monkeypatch.setattr(Credulous, "ignored", ignored)
    wrong = tried(Credulous, start=misled, speeds=(5.0, 16.0), margin=math.inf)
    refused(wrong, "derivatives", r"it allows too much|in truth|in a tick, below .*; the car has .* error \(")


def test_a_row_without_a_margin_for_the_hold_is_told(tried: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its derivative is right; what it lets through is not borne for a whole tick."""

    class Instant(Lane):
        __doc__ = SAID.replace("degree 1", "degree 2")

        def _hold_margin(self, speed: float, rate: float, lateral: float) -> float:
            return 0.0

    contract = tried(Instant, start=start(bound=(0.1, 0.0, 0.0)), speeds=(5.0, 16.0), margin=0.5)
    refused(contract, "derivatives", r"which takes ψ of row [01] from .* to .* in a tick, below \(1 − p T\)")


def test_a_row_that_keeps_more_than_its_margin_is_told(tried: Try) -> None:
    class Shy(Speed):
        __doc__ = SAID

    refused(tried(Shy, speeds=(10.0, 16.0), margin=0.1), "derivatives", "more is kept than the margin 0.1")


def rough(state: State, rows: Rows) -> float:
    h = 1.0 + 0.1 * math.sin(1e7 * state.speed)
    rows.set(0, -1.0, 0.0, 0.0, h)
    return h


def flickering(state: State, rows: Rows) -> float:
    h = 30.0 - state.speed
    rows.set(int(1e7 * state.speed) % 2, -1.0 / car().effective_mass, 0.0, state.disturbance, h)
    return h


@pytest.mark.parametrize("how", [rough, flickering])
def test_where_h_has_no_derivative_nothing_is_compared(tried: Try, how: Callable[[State, Rows], float]) -> None:
    refused(
        tried(spoilt(how), states=50), "derivatives", r"of 50 states of 'start' only \d+ are such that .* h no kink"
    )


def test_h_that_is_not_the_rows_is_told(tried: Try) -> None:
    refused(tried(Scaled, speeds=(10.0, 16.0), margin=0.15), "derivatives", "ψ of its rows is .*, but h of degree 1 is")


def test_a_wrong_relative_degree_is_told(tried: Try) -> None:
    class Second(Speed):
        __doc__ = SAID.replace("degree 1", "degree 2")

    refused(tried(Second, speeds=(10.0, 16.0), margin=0.15), "derivatives", "the command changes ḣ .* not of degree 2")


def test_an_inner_gain_that_varies_is_told(tried: Try) -> None:
    class Varying(Lane):
        __doc__ = SAID.replace("degree 1", "degree 2")

        def fill(self, state: State, rows: Rows) -> float:
            self._lane = dataclasses.replace(settings().safety.lane, inner_gain=1.5 + 0.05 * state.speed)
            return super().fill(state, rows)

    contract = tried(Varying, start=start(slope=0.0), speeds=(5.0, 9.0), margin=9.0)
    refused(contract, "derivatives", "same p₁|allows too much")


def test_a_command_that_the_rows_refuse_though_h_allows_it_is_told(tried: Try) -> None:
    class Tight(Lateral):
        __doc__ = SAID.replace("degree 1", "degree 0")

        def fill(self, state: State, rows: Rows) -> float:
            return super().fill(state, rows) + 1.0

    refused(tried(Tight), "derivatives", "its rows leave .*, h of that command is .*more is kept than the margin 0")


class Careless(Distance):
    """h = D − S(v, F) − D₀, relative degree 1 in discrete time; the row believes in half of what is driven in a tick.

    Trusted inputs: x. Guarantee: x. Assumption: x.
    """

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        h = super().fill(state, rows)
        slower = dataclasses.replace(state.arc, receding=state.speed / 2)
        super().fill(dataclasses.replace(state, arc=slower, along_lane=slower), rows)
        return h


def test_a_next_tick_that_is_worse_than_the_rows_foresee_is_told(tried: Try) -> None:
    refused(tried(Careless), "derivatives", "its rows allow force .* takes h from .* to .* in a tick, below")


def test_a_backup_that_the_joints_do_not_reach_is_told(tried: Try) -> None:
    class Demanding(Speed):
        __doc__ = SAID

        def fill(self, state: State, rows: Rows) -> float:
            h = super().fill(state, rows)
            rows.set(0, -1.0 / self._mass, 0.0, state.disturbance, h, 9.0)
            return h

    refused(tried(Demanding), "backup", "row 0 is capped at 9, but the joints reach .* in a tick")


@pytest.mark.parametrize(
    ("least", "words"),
    [
        (lambda fixed, inside: fixed - 1.01 * HIGHEST * inside, r"capped at a gain of 4\.04; the highest is 4"),
        (lambda fixed, inside: fixed - inside if inside <= 0 else math.inf, "capped at a gain of 0"),
    ],
)
def test_a_least_gain_above_the_interval_or_outside_of_the_set_is_told(
    tried: Try, least: Callable[[float, float], float], words: str
) -> None:
    class Greedy(Lane):
        __doc__ = Lane.__doc__

        def fill(self, state: State, rows: Rows) -> float:
            table: list[Row | None] = [None, None]
            h = super().fill(state, Rows(table, 0, 2))
            for index, row in enumerate(table):
                if row is not None:
                    rows.set(index, *row[:4], least(row[2], row[3]))
            return h

    refused(tried(Greedy), "backup", words)


def test_a_set_that_is_not_kept_is_told(tried: Try) -> None:
    class Weak(Speed):
        __doc__ = SAID

        def fill(self, state: State, rows: Rows) -> float:
            h = super().fill(state, rows)
            rows.set(0, -1.0 / self._mass, 0.0, state.disturbance, h, -2.0)  # gives in to 2 m/s²
            return h

    refused(tried(Weak, speeds=(10.0, math.inf)), "invariance", r"h falls to -.* in a drive \(at least: -?0\)")


def test_drives_that_never_come_near_show_nothing_and_say_so(tried: Try) -> None:
    far = Contract(settings(), "distance", start(free=5000.0), (0.0, 5.0), ticks=200)
    refused(far, "invariance", "the wishes do not break it without its rows either .*'start'")


def test_the_ideal_car_moves_as_the_road_frame_says() -> None:
    """Oracle: ``Car.road_motion``, the control-affine form."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        one = draw(rng, settings(), car())
        force, curvature, step = -2000.0, 0.03, 1e-6
        drift, control = car().road_motion(one.offset, one.heading, one.speed, one.bends[0])
        before, after = one.moved(force, curvature, -step), one.moved(force, curvature, step)
        found = [(getattr(after, name) - getattr(before, name)) / (2 * step) for name in ("offset", "heading", "speed")]
        expected = drift + control @ [force, curvature] - [0.0, 0.0, 9.81 * one.slope]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
        assert (one.force, one.curvature) == (before.force, before.curvature)


def test_lowered_limits_of_the_ideal_car_come_down_as_the_filter_lowers_them() -> None:
    """Oracle: ``Lowering``, which a car that brakes as gently as that is never ahead of."""
    vehicle, safety = settings().vehicle, settings().safety
    force = -safety.curve_deceleration * car().effective_mass
    one = draw(np.random.default_rng(4), settings(), car(), speed=12.0, slope=0.0)
    lowering = Lowering(settings(), car())
    lowering.now = MotionLimits(vehicle.speed_max + 3.005, 1.4 * vehicle.lateral_acceleration_max, 0.0)
    one.speed_left, one.lateral_left = lowering.now.speed - safety.speed_margin, lowering.now.lateral
    one.speed = one.speed_left
    for _ in range(500):
        lowering.step(one.speed, one.period)
        one.hold(force, 0.0)
        state = one.state()
        assert state.speed_left == pytest.approx(lowering.speed_left, abs=1e-6)
        assert state.lateral_left == pytest.approx(lowering.lateral_left, rel=0.01)
        assert state.speed_falling == (safety.curve_deceleration if state.speed_left else 0.0)
    assert (state.speed_left, state.lateral_left) == (0.0, 0.0)
