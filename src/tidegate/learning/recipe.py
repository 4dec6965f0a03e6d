# SPDX-License-Identifier: Apache-2.0
"""Everything that decides what a training makes of which data: one typed table, kept in the bundle's record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tidegate.errors import SettingsError
from tidegate.settings.document import read_document
from tidegate.settings.schema import build, mapping, setting

TEST_SEEDS = range(1000, 1100)
"""Roads that no training, validation or calibration may see."""


@dataclass(frozen=True, slots=True)
class CollectRecipe:
    """Drives that are recorded and how the driver is disturbed in them."""

    drives: int = setting(110, "1", "drives of the expert before the first training", low=1, high=100000)
    duration_s: float = setting(20.0, "s", "length of a drive", low=1, high=600)
    first_seed: int = setting(0, "1", "seed of the first drive; each drive has a road and looks of its own", low=0)
    traffic_share: float = setting(0.25, "1", "share of the drives with other cars", low=0, high=1)
    truck_share: float = setting(0.1, "1", "share of the drives with the crossing truck", low=0, high=1)
    white_share: float = setting(
        0.15, "1", "share of the drives whose camera is over-exposed, on an empty road", low=0, high=1
    )
    close_share: float = setting(
        0.1, "1", "share of the drives close behind a car that halts, most of the road hidden", low=0, high=1
    )
    close_gap: float = setting(2.0, "m", "shortest distance at standstill in those drives", low=0.5, high=6)
    close_time: float = setting(0.6, "s", "shortest time gap in those drives", low=0.1, high=1.8)
    control_rate_hz: float = setting(100.0, "Hz", "control rate while recording", low=20, high=1000)
    shift_every_s: float = setting(4.0, "s", "mean time between sudden shifts of the car", low=0.5, high=1000)
    shift_offset: float = setting(0.4, "m", "standard deviation of a shift to the side", low=0, high=2)
    shift_yaw: float = setting(0.05, "rad", "standard deviation of a shift of the heading", low=0, high=0.5)
    push_share: float = setting(0.4, "1", "share of the time in which the commands are disturbed", low=0, high=1)
    push_lateral: float = setting(1.2, "m/s²", "largest lateral acceleration added to the command", low=0, high=5)
    push_force: float = setting(1.5, "m/s²", "largest acceleration added to the command", low=0, high=5)


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """Three stages: the lane head on single frames, the liquid network on frozen codes, everything on windows."""

    lane_frames: int = setting(192, "1", "single frames per step of the lane stage", low=1, high=65536)
    lane_steps: int = setting(2500, "1", "steps of the lane stage", low=0, high=10**6)
    policy_steps: int = setting(3000, "1", "steps of the policy stage", low=0, high=10**6)
    all_steps: int = setting(150, "1", "steps of the stage that trains everything", low=0, high=10**6)
    batch: int = setting(32, "1", "windows per step", low=1, high=4096)
    window: int = setting(32, "1", "frames per window", low=4, high=1024)
    patience: int = setting(
        0,
        "1",
        "measurements, one in 100 steps, in which held-out bags may cost no less before a stage stops and goes back "
        "to its best weights; 0 = every stage takes all its steps",
        low=0,
        high=10000,
    )
    warm_up: int = setting(6, "1", "first frames of a window, whose commands do not count: the state settles", low=0)
    fresh_share: float = setting(
        0.25, "1", "share of the windows whose neurons begin at zero, as after a reset, not as driven", low=0, high=1
    )
    backbone_rate: float = setting(3e-3, "1", "peak learning rate of the convolutional network", low=1e-6, high=1)
    liquid_rate: float = setting(2e-2, "1", "peak learning rate of the liquid network", low=1e-6, high=1)
    features_rate: float = setting(
        3e-3, "1", "peak learning rate of the features' layer in the policy stage", low=1e-6, high=1
    )
    tuning: float = setting(0.1, "1", "learning rates of the last stage, as a share of the peaks", low=0, high=1)
    again: float = setting(
        0.3, "1", "learning rate of the lane stage after a DAgger round, as a share of the peak", low=0, high=1
    )
    weight_decay: float = setting(
        1e-4, "1", "decoupled weight decay (AdamW) of the convolutional network", low=0, high=1
    )
    clip: float = setting(1.0, "1", "largest norm of the gradient", low=0.01, high=1000)
    ramp: float = setting(0.03, "1", "share of the steps in which the learning rate rises", low=0, high=0.5)
    curvature_unit: float = setting(0.01, "1/m", "error of the commanded curvature that costs one", low=1e-5, high=1)
    acceleration_unit: float = setting(1.0, "m/s²", "error of the commanded acceleration that costs one", low=0.01)
    lane_weight: float = setting(0.3, "1", "weight of the lane head's loss", low=0, high=100)
    pose_weight: float = setting(
        2.0, "1", "weight of the lane's offset and heading against that of a curvature", low=0, high=100
    )
    tau_low: float = setting(0.02, "s", "time constants below this cost", low=1e-4, high=10)
    tau_high: float = setting(2.0, "s", "time constants above this cost", low=1e-3, high=1000)
    tau_weight: float = setting(
        0.05, "1", "weight of the squared logarithm by which time constants leave that range", low=0, high=100
    )
    bend_unit: float = setting(0.02, "1/m", "a frame counts 1 + |curvature| / this", low=1e-4, high=10)


@dataclass(frozen=True, slots=True)
class AugmentRecipe:
    """Changes of the images, constant over a window, noise apart; moved views only where single frames are drawn."""

    move_share: float = setting(0.75, "1", "share of the single frames that are seen from beside", low=0, high=1)
    move_offset: float = setting(0.35, "m", "standard deviation of that move to the side", low=0, high=2)
    move_yaw: float = setting(0.06, "rad", "standard deviation of the turn that goes with it", low=0, high=0.5)

    noise: float = setting(0.05, "1", "standard deviation of the noise of a pixel (of 2)", low=0, high=1)
    light: float = setting(0.4, "1", "largest relative change of brightness, contrast and saturation", low=0, high=0.9)
    shadow_share: float = setting(0.3, "1", "share of the windows with a strip of shadow", low=0, high=1)
    glare_share: float = setting(0.03, "1", "share of the windows that end white", low=0, high=0.5)
    bright_share: float = setting(
        0.12,
        "1",
        "share of the windows exposed for their darkest pixels: lane visible, sky and meadow white",
        low=0,
        high=1,
    )


@dataclass(frozen=True, slots=True)
class DaggerRecipe:
    """Rounds in which the network drives and the expert says what it would have done (Ross et al. 2011)."""

    rounds: int = setting(2, "1", "rounds", low=0, high=20)
    drives: int = setting(44, "1", "drives per round", low=1, high=100000)
    expert_share: float = setting(0.25, "1", "share of the time in which the expert drives after all", low=0, high=1)
    effort: float = setting(
        0.4,
        "1",
        "steps of the lane and the last stage after each round, as a share of the first ones",
        low=0.01,
        high=10,
    )


@dataclass(frozen=True, slots=True)
class CalibrateRecipe:
    """Held-out drives of the finished network that set its error bounds."""

    drives: int = setting(20, "1", "drives", low=1, high=10000)
    duration_s: float = setting(20.0, "s", "length of a drive", low=1, high=600)
    first_seed: int = setting(800, "1", "seed of the first drive", low=0)
    miscoverage: float = setting(0.1, "1", "accepted probability that a drive breaks a bound", low=0.001, high=0.5)


@dataclass(frozen=True, slots=True)
class GainsRecipe:
    """Closed loops of the finished network and the filter, from which the barrier gains are learnt."""

    drives: int = setting(4, "1", "drives; the scenes take turns", low=1, high=10000)
    duration_s: float = setting(40.0, "s", "length of a drive", low=1, high=600)
    first_seed: int = setting(700, "1", "seed of the first drive", low=0)
    steps: int = setting(400, "1", "steps of the fit", low=1, high=10**6)
    batch: int = setting(256, "1", "moments per step", low=1, high=10**6)
    rate: float = setting(0.05, "1", "learning rate", low=1e-6, high=1)


@dataclass(frozen=True, slots=True)
class Recipe:
    """From nothing to a bundle."""

    seed: int = setting(0, "1", "draws the network, the order of the windows and the augmentation", low=0)
    threads: int = setting(2, "1", "threads of the training, processes of the recording", low=1, high=256)
    collect: CollectRecipe = CollectRecipe()
    train: TrainRecipe = TrainRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    dagger: DaggerRecipe = DaggerRecipe()
    calibrate: CalibrateRecipe = CalibrateRecipe()
    gains: GainsRecipe = GainsRecipe()

    def check(self) -> Recipe:
        """Refuse a recipe that would look at the test roads.

        Raises:
            SettingsError: naming the seeds.
        """
        recorded = self.collect.drives + self.dagger.rounds * self.dagger.drives
        for name, first, count in (
            ("collect", self.collect.first_seed, recorded),
            ("calibrate", self.calibrate.first_seed, self.calibrate.drives),
            ("gains", self.gains.first_seed, self.gains.drives),
        ):
            if first < TEST_SEEDS.stop and first + count > TEST_SEEDS.start:
                raise SettingsError(
                    f"'{name}.first_seed' is {first} and {count} roads follow; seeds {TEST_SEEDS.start} to "
                    f"{TEST_SEEDS.stop - 1} are kept for tests"
                )
        calibrated = range(self.calibrate.first_seed, self.calibrate.first_seed + self.calibrate.drives)
        if self.collect.first_seed < calibrated.stop and self.collect.first_seed + recorded > calibrated.start:
            raise SettingsError(
                f"calibration roads {calibrated.start} to {calibrated.stop - 1} are trained on; move "
                "'calibrate.first_seed'"
            )
        return self


class Checked(Protocol):
    """A recipe."""

    def check(self) -> Any:
        """Refuse one that would look at the tests' seeds."""


Kind = TypeVar("Kind", bound=Checked)


def load_recipe(path: str | Path | None = None, rules: Iterable[str] = ()) -> Recipe:
    """As ``recipe_of`` for a car."""
    return recipe_of(Recipe, path, rules)


def recipe_of(kind: type[Kind], path: str | Path | None = None, rules: Iterable[str] = ()) -> Kind:
    """The recipe in a YAML file, changed by ``rules`` such as ``train.batch=16``; what neither names is as for the
    shipped bundle.

    Raises:
        SettingsError: no such file, no YAML, or a value that is refused.
    """
    values = {} if path is None else read_document(Path(path))
    made: Kind = build(kind, values, str(path))
    for rule in rules:
        made = _changed(made, rule)
    made.check()
    return made


def _changed(recipe: Kind, rule: str) -> Kind:
    """``recipe`` with the one value that ``rule`` sets."""
    key, sign, text = (part.strip() for part in rule.partition("="))
    if not (key and sign and text):
        raise SettingsError(f"--set '{rule}': must be of the form train.batch=16")
    *sections, name = key.split(".")
    values = asdict(recipe)  # type: ignore[call-overload]
    place: Any = values
    for section in sections:
        place = mapping(place.setdefault(section, {}), section, "--set")
    try:
        place[name] = float(text)
    except ValueError:
        place[name] = text  # which is refused as such
    made: Kind = build(type(recipe), values, "--set")
    return made
