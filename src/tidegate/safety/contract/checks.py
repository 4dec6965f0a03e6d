# SPDX-License-Identifier: Apache-2.0
"""The contract of a barrier, one check a part.

Long because the five checks share what they draw, compare and say; each is short by itself.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tidegate.errors import ContractError
from tidegate.robot import Car
from tidegate.safety.barrier import Ahead, Barrier, Row, Rows, State
from tidegate.safety.contract import hostile
from tidegate.safety.contract.claim import check_parameters, check_unit, claim_of
from tidegate.safety.contract.ideal import IdealCar, draw
from tidegate.safety.filter import Filter
from tidegate.settings import Settings

CHECKS = ("docs", "rows", "derivatives", "backup", "invariance")
"""The methods of ``Contract``, for ``pytest.mark.parametrize``."""
STEP = 1e-5
"""Of the finite differences [s]."""
EXACT = 1e-3
"""How far what is computed may be from what is claimed, relative."""
HELD = 5e-3
"""The same over a tick in which the command is held [unit of ψ per second]."""
ROUNDING = 1e-9
ENOUGH = 20
"""States at which a check must have had something to look at."""


@dataclass(frozen=True)
class Contract:
    """A barrier of a robot's file and how it is to be tried. Every check raises ``ContractError`` where it fails.

    Attributes:
        settings: of the robot.
        name: of the barrier in ``safety.barriers``.
        start: draws a car near to where the barrier acts; by default anywhere, see ``draw``. The checks of derivatives
            and of invariance keep those inside the set (h ≥ 0 and every ψ ≥ 0).
        speeds: [m/s] in which cars are drawn and hostile wishes keep them; inf = a little over the limit, and no end.
        margin: the most that a row may keep in reserve beyond the derivative [unit of h, per second for each degree].
        reserve: how far h may fall below zero in the simulated drives, where something else covers that [unit of h].
        beside: barriers that it counts on in the simulated drives.
        states, drives, ticks: how many states are drawn; how many drives, and how long each.
    """

    settings: Settings
    name: str
    start: Callable[[np.random.Generator, Settings, Car], IdealCar] = draw
    speeds: tuple[float, float] = (1.0, math.inf)
    margin: float = 0.0
    reserve: float = 0.0
    beside: tuple[str, ...] = ()
    states: int = 300
    drives: int = 6
    ticks: int = 800

    @cached_property
    def car(self) -> Car:
        """The robot."""
        return Car.from_settings(self.settings)

    @cached_property
    def filter(self) -> Filter:
        """The live filter with it and what it counts on, nothing else."""
        others = frozenset(self.settings.safety.barriers) - {self.name, *self.beside}
        return Filter(self.settings, self.car, disable=others)

    @cached_property
    def barrier(self) -> Barrier:
        """The one that is tried."""
        for barrier in self.filter.barriers:
            if barrier.name == self.name:
                return barrier
        known = ", ".join(name for name, one in self.settings.safety.barriers.items() if one.enabled)
        raise ContractError(f"no barrier '{self.name}' is in use; safety.barriers has {known}")

    def docs(self) -> None:
        """The docstring says h, relative degree, trusted inputs, guarantee, assumption; rows, parameters have units."""
        claim_of(type(self.barrier))
        check_unit(type(self.barrier))
        check_parameters(type(self.barrier))

    def rows(self) -> None:
        """At any state h is a number or inf; its rows are its own, finite, have a direction; nothing else happens."""
        seen = 0
        for car in self._drawn():
            self.fill(dataclasses.replace(car.state(), lane=None, arc=Ahead(), along_lane=Ahead()))
            state = car.state()
            before = copy.deepcopy(state)
            h, rows = self.fill(state)
            self._need(state == before, car, "fill changes the state that it is given")
            self._need(h > -math.inf, car, f"h is {h}")
            for index, row in rows.items():
                finite = all(map(math.isfinite, row[:4])) and row[4] > -math.inf
                self._need(finite, car, f"row {index} is not finite: {row}")
                self._need(row[:2] != (0.0, 0.0), car, f"row {index} does not depend on the command")
            self._need((h, rows) == self.fill(state), car, "fill says something else when it is asked again")
            seen += bool(rows)
        self._enough(seen, "it has a row")

    def derivatives(self) -> None:
        """The rows are what the docstring claims: h of the command, ḣ, ψ̇₁, or h of the next tick.

        Degree 0: what the rows leave of the last command is h. Degree 1 and 2: what a row leaves is the derivative of
        its ψ along the dynamics, ψ being h or ḣ + p₁ h with one p₁ everywhere; states where h has a kink are left out.
        In each case the row may leave less, by ``margin``, and never more. Where the car is told something wrong, ψ is
        that of the truth, and the row, whatever its gain, leaves no more of ψ̇ + p ψ than there is. Whatever the rows
        let through is held for a tick in the model: ψ(next) ≥ (1 − p T) ψ; h in its place where the time is discrete.
        """
        claim = claim_of(type(self.barrier))
        if claim.degree == 0:
            self._static()
            return
        if not claim.discrete:
            self._derivative(claim.degree)
        self._holds(claim.discrete)

    def backup(self) -> None:
        """Where a row has a cap, the joints reach it within one tick: no row with a backup is infeasible by itself.

        Or it stands for a gain, in a row whose ψ > 0: then none above the interval.
        """
        highest = self.settings.policy.gain_high
        for car in self._drawn():
            box = car.box()
            for index, row in self.fill(car.state())[1].items():
                by_force, by_curvature, _, inside, cap = row
                if self.barrier.least_gain:
                    least = self._gain(row, 0.0)
                    within = math.isinf(cap) or (inside > 0 and least <= highest * (1 + EXACT))
                    self._need(within, car, f"row {index} is capped at a gain of {least:g}; the highest is {highest:g}")
                    continue
                force = box.force_high if by_force > 0 else box.force_low
                curvature = box.curvature_high if by_curvature > 0 else box.curvature_low
                most = by_force * force + by_curvature * curvature
                within = math.isinf(cap) or most >= cap - EXACT * (1 + abs(cap))
                self._need(within, car, f"row {index} is capped at {cap:g}, but the joints reach {most:g} in a tick")

    def invariance(self) -> None:
        """With the rows enforced no hostile wish breaks h ≥ −``reserve``; without them the same wishes do."""
        freely = math.inf
        for seed in range(self.drives):
            car = next(self._inside(np.random.default_rng(seed), 1))
            lowest = self._lowest(car, seed, self.filter)
            self._need(
                lowest >= -self.reserve, car, f"h falls to {lowest:.4g} in a drive (at least: {-self.reserve:g})"
            )
            freely = min(freely, self._lowest(car, seed, None))
        if not freely < -self.reserve:
            raise ContractError(
                f"{self._title}: the wishes do not break it without its rows either (lowest h {freely:.4g}), so that "
                "the drives show nothing; let 'start' draw cars nearer to where it acts"
            )

    def fill(self, state: State) -> tuple[float, dict[int, Row]]:
        """h and the rows that are on, by index."""
        table: list[Row | None] = [None] * self.barrier.rows
        try:
            h = self.barrier.fill(state, Rows(table, 0, self.barrier.rows))
        except Exception as error:
            raise ContractError(f"{self._title}: fill raises {type(error).__name__}: {error}; with {state}") from error
        return h, {index: row for index, row in enumerate(table) if row is not None}

    def _static(self) -> None:
        seen = 0
        for car in self._drawn():
            h, rows = self.fill(car.state())
            left = [row[0] * car.force + row[1] * car.curvature - row[2] for row in rows.values()]
            if left and max(min(left), h) >= 0:
                seen += 1
                self._compare(car, min(left), h, "its rows leave", "h of that command")
        self._enough(seen, "its rows or h allow the last command")

    def _derivative(self, degree: int) -> None:
        inner: list[float] | None = None
        seen, policy = 0, self.settings.policy
        for car in self._inside(np.random.default_rng(0), self.states):
            h, rows = self.fill(car.state())
            truth = car.truth()
            h_true, true_rows = self.fill(truth.state())
            commands = [car.box().clip(*one) for one in ((-1e9, -9.0), (1e9, 9.0), (0.0, 0.0), (-1e9, 9.0))]
            rates = [rate for rate in (self._rates(truth, *command) for command in commands) if rate is not None]
            if not rows or rows.keys() != true_rows.keys() or len(rates) < len(commands):
                continue
            seen += 1
            self._need(h <= h_true + EXACT, car, f"h is {h:g}, and {h_true:g} in truth")
            for (force, curvature), (_, psi_rates) in zip(commands, rates, strict=True):
                for index, row in rows.items():
                    left, less = row[0] * force + row[1] * curvature - row[2], row[3] - true_rows[index][3]
                    for gain in (policy.gain_low, policy.gain_high):
                        what = f"row {index} leaves at force {force:.0f} N, curvature {curvature:.4f} 1/m, p {gain:g}"
                        self._compare(car, left + gain * less, psi_rates[index], what, "dψ/dt by finite differences")
            slopes = [slope for slope, _ in rates]
            if degree == 1:
                least = min(row[3] for row in rows.values())
                self._need(abs(least - h) <= EXACT, car, f"ψ of its rows is {least:g}, but h of degree 1 is {h:g}")
                continue
            spread = max(slopes) - min(slopes)
            self._need(spread <= EXACT, car, f"the command changes ḣ by {spread:g}: it is not of degree 2")
            rests = [row[3] - slopes[0] for row in true_rows.values()]  # p₁ h, in the row whose h is the least
            inner = [
                gain
                for gain in ([rest / h_true for rest in rests] if inner is None else inner)
                if any(abs(rest - gain * h_true) <= EXACT * (1 + abs(rest)) for rest in rests)
            ]
            self._need(bool(inner), car, "no row's ψ is ḣ + p₁ h with the same p₁ as elsewhere")
        self._enough(seen, "h ≥ 0, every ψ ≥ 0, it has a row and h no kink")

    def _rates(self, car: IdealCar, force: float, curvature: float) -> tuple[float, dict[int, float]] | None:
        """ḣ and ψ̇ of each row along the dynamics; None at a kink."""
        before, now, after = (self.fill(car.moved(force, curvature, step).state()) for step in (-STEP, 0.0, STEP))
        if not before[1].keys() == now[1].keys() == after[1].keys():
            return None
        first, middle, last = (
            np.array([h, *(row[3] for row in rows.values())]) for h, rows in (before, now, after)
        )  # fmt: skip
        slopes = (last - first) / (2 * STEP)
        if np.abs(first - 2 * middle + last).max() / STEP > EXACT * (1 + np.abs(slopes).max()):
            return None
        return float(slopes[0]), dict(zip(now[1], slopes[1:].tolist(), strict=True))

    def _holds(self, discrete: bool) -> None:
        rng, seen, most = np.random.default_rng(0), 0, self.settings.policy.gain_high
        for car in self._inside(rng, self.states):
            rows = self.fill(car.state())[1]
            wish, gains = hostile.wish(rng, car), hostile.gains(rng, self.settings)
            gain = most if discrete else gains.get(self.barrier.gain, self.filter.gain_default)
            most_bent = self._most_bent(car.speed)  # rows know no rate of the steering, those of discrete time do
            box = car.box() if discrete else car.box()._replace(curvature_low=-most_bent, curvature_high=most_bent)
            told = self.filter(car.state(), wish, gains, box)
            by_row = {f"ψ of row {index}": self._gain(row, gain) for index, row in rows.items()}
            # where the cap stands in for the row, the row is not what is held
            capped = any(row[2] - self._gain(row, gain) * row[3] > row[4] + ROUNDING for row in rows.values())
            if not rows or capped or any(one.relaxed for one in told.barriers):
                continue
            seen += 1
            after = dataclasses.replace(car)
            after.hold(told.force, told.curvature)
            before, reached = self._kept(car, discrete), self._kept(after, discrete)
            for name in [name for name in before if name in reached]:
                now, then, kept = before[name], reached[name], by_row.get(name, gain)
                least = now * (1 - kept * car.period)
                self._need(
                    then >= least - (EXACT if discrete else HELD * car.period),
                    car,
                    f"its rows allow force {told.force:.0f} N, curvature {told.curvature:.4f} 1/m, which takes {name} "
                    f"from {now:.4g} to {then:.4g} in a tick, below (1 − p T) {name} = {least:.4g}, p {kept:g} 1/s",
                )
        self._enough(seen, "h ≥ 0 and it has a row below its cap")

    def _gain(self, row: Row, gain: float) -> float:
        """The gain [1/s] of a row where the policy gives ``gain``."""
        *_, fixed, inside, cap = row
        return max(gain, (fixed - cap) / inside) if self.barrier.least_gain and inside > 0 else gain

    def _kept(self, car: IdealCar, discrete: bool) -> dict[str, float]:
        """What must not fall by more than p T of itself in a tick: h as it is told, or the ψ of each row in truth."""
        if discrete:
            return {"h": self.fill(car.state())[0]}
        return {f"ψ of row {index}": row[3] for index, row in self.fill(car.truth().state())[1].items()}

    def _compare(self, car: IdealCar, left: float, real: float, what: str, truth: str) -> None:
        tolerance = EXACT * (1 + abs(real))
        found = f"{what} {left:.5g}, {truth} is {real:.5g}"
        self._need(left <= real + tolerance, car, f"{found}: it allows too much")
        self._need(
            left >= real - self.margin - tolerance, car, f"{found}: more is kept than the margin {self.margin:g}"
        )

    def _lowest(self, car: IdealCar, seed: int, kept: Filter | None) -> float:
        """Lowest h of a drive of hostile wishes."""
        rng = np.random.default_rng([seed, 1])
        cars = hostile.drive(rng, dataclasses.replace(car), kept, self.speeds, self.ticks)
        return min(self.fill(one.truth().state())[0] for one in cars)

    def _drawn(self) -> Iterator[IdealCar]:
        rng = np.random.default_rng(0)
        for _ in range(self.states):
            yield self._one(rng)

    def _inside(self, rng: np.random.Generator, count: int) -> Iterator[IdealCar]:
        """Up to ``count`` cars inside the set."""
        found = 0
        for _ in range(100 * count):
            car = self._one(rng)
            h, rows = self.fill(car.state())
            if 0 <= h < math.inf and all(row[3] >= 0 for row in rows.values()):
                found += 1
                yield car
                if found == count:
                    return
        if not found:
            raise ContractError(f"{self._title}: 'start' draws no car where h ≥ 0, h < inf and every ψ ≥ 0")

    def _one(self, rng: np.random.Generator) -> IdealCar:
        low, high = self.speeds
        car = self.start(rng, self.settings, self.car)
        car.speed = rng.uniform(low, min(high, 1.05 * self.settings.vehicle.speed_max))
        most_bent = self._most_bent(car.speed)
        car.curvature = min(max(car.curvature, -most_bent), most_bent)
        return car

    def _most_bent(self, speed: float) -> float:
        """The curvature [1/m] that the lateral limit allows at ``speed`` [m/s]."""
        return self.settings.vehicle.lateral_acceleration_max / max(speed, 1.0) ** 2

    def _need(self, kept: bool, car: IdealCar, what: str) -> None:
        if not kept:
            values = ((item.name, getattr(car, item.name)) for item in dataclasses.fields(car))
            shown = ", ".join(f"{name} {_words(value)}" for name, value in values if isinstance(value, float | tuple))
            raise ContractError(f"{self._title}: {what}; the car has {shown}")

    def _enough(self, seen: int, where: str) -> None:
        if seen < ENOUGH:
            raise ContractError(f"{self._title}: of {self.states} states of 'start' only {seen} are such that {where}")

    @property
    def _title(self) -> str:
        return f"barrier '{self.name}' ({type(self.barrier).__name__})"


def _words(value: float | tuple[float, ...]) -> str:
    return f"({', '.join(map(_words, value))})" if isinstance(value, tuple) else f"{value:.4g}"
