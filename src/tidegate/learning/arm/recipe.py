# SPDX-License-Identifier: Apache-2.0
"""Everything that decides what a training makes of an arm's scenes: one typed table, kept in the bundle's record."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.errors import SettingsError
from tidegate.learning.recipe import TEST_SEEDS, AugmentRecipe
from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class ArmLookRecipe(AugmentRecipe):
    """How pictures are changed: they are not moved, for where things are is what they tell, and little else, for a
    scene's look is drawn by its seed."""

    move_share: float = setting(0.0, "1", "pictures that are moved; there is no way to", low=0, high=0)
    noise: float = setting(0.01, "1", "standard deviation of the noise, of full scale", low=0, high=1)
    light: float = setting(0.1, "1", "brightness, contrast and colour change by up to this", low=0, high=0.9)
    shadow_share: float = setting(0.05, "1", "share of the pictures with a shadow", low=0, high=1)
    glare_share: float = setting(0.0, "1", "share of the pictures in which nothing is left to see", low=0, high=1)
    bright_share: float = setting(0.0, "1", "share of the pictures that are exposed for the dark", low=0, high=1)


@dataclass(frozen=True, slots=True)
class ArmCollectRecipe:
    """Episodes that are recorded and how who drives is disturbed in them."""

    scenes: tuple[str, ...] = setting(("reach", "press", "wipe", "hand_over"), "", "what is learnt")
    seconds: tuple[float, ...] = setting((4.0, 3.5, 6.6, 4.0), "s", "length of an episode of each", low=0.5, high=60)
    episodes: tuple[float, ...] = setting(
        (24, 15, 24, 36), "1", "episodes of each before the first training", low=1, high=100000
    )
    glimpsed: tuple[float, ...] = setting(
        (600, 200, 200, 900), "1", "further seeds of each that are seen at moments by themselves", low=0, high=100000
    )
    first_glimpsed: int = setting(10000, "1", "seed of the first of these", low=0)
    glimpses: int = setting(12, "1", "such moments of a seed", low=1, high=1000)
    wild: float = setting(0.3, "rad", "the joints are off their place by up to so much in them", low=0, high=1)
    first_seed: int = setting(3000, "1", "seed of the first episode; the scenes share their seeds", low=0)
    disturb: tuple[float, ...] = setting(
        (0.03, 0.03, 0.008, 0.03), "m", "an episode's aims are off by up to so much, rms, in each", low=0, high=0.3
    )
    start: float = setting(0.1, "rad", "the joints begin off their place by up to so much", low=0, high=0.5)
    teacher_share: float = setting(
        0.2, "1", "share of the pictures after which the teacher drives, where the network does", low=0, high=1
    )


@dataclass(frozen=True, slots=True)
class ArmTrainRecipe:
    """Two stages: where things are, from single pictures; then the liquid network on what is seen so."""

    sight_frames: int = setting(64, "1", "pictures per step of the first stage", low=1, high=65536)
    sight_steps: tuple[float, ...] = setting(
        (4000, 2000, 7000, 0), "1", "its steps, at first and after each DAgger round", low=0, high=10**6
    )
    coarse: float = setting(0.8, "1", "share of these in which convolutions have half the digits", low=0, high=1)
    again: float = setting(0.5, "1", "share of its learning rate after a DAgger round", low=0)
    policy_steps: tuple[float, ...] = setting(
        (4000, 4000, 8000, 7000), "1", "of the second stage, at first and after each round", low=0, high=10**6
    )
    batch: int = setting(32, "1", "windows per step", low=1, high=4096)
    window: int = setting(40, "1", "pictures per window", low=4, high=1024)
    warm_up: int = setting(8, "1", "first pictures of a window that do not count, but at an episode's begin", low=0)
    fresh_share: float = setting(0.3, "1", "share of the windows that are an episode's begin", low=0, high=1)
    held_share: float = setting(0.1, "1", "share of the episodes that measure and are not learnt from", low=0, high=0.5)
    sight_rate: float = setting(3e-3, "1", "peak learning rate of the convolutional network", low=1e-6, high=1)
    liquid_rate: float = setting(2e-2, "1", "peak learning rate of the liquid network", low=1e-6, high=1)
    weight_decay: float = setting(1e-4, "1", "decoupled weight decay (AdamW) of the convolutional network", low=0)
    clip: float = setting(1.0, "1", "largest norm of the gradient", low=0.01, high=1000)
    ramp: float = setting(0.03, "1", "share of the steps in which the learning rate rises", low=0, high=0.5)
    sight_unit: float = setting(0.005, "m", "error of a place seen that costs one", low=1e-4, high=1)
    place_unit: float = setting(0.01, "m", "error of the place asked for that costs one", low=1e-4, high=1)
    press_unit: float = setting(
        0.1, "1", "error of the force's share, or of what is there at all, that costs one", low=1e-3, high=10
    )


@dataclass(frozen=True, slots=True)
class ArmDaggerRecipe:
    """Rounds in which the network asks and the teacher says what it would have asked for (Ross et al. 2011)."""

    rounds: int = setting(3, "1", "rounds", low=0, high=20)
    episodes: tuple[float, ...] = setting((16, 3, 10, 18), "1", "of each scene, per round", low=0, high=100000)


@dataclass(frozen=True, slots=True)
class ArmRecipe:
    """From nothing to a bundle."""

    seed: int = setting(0, "1", "draws the network, the order of the windows and the augmentation", low=0)
    threads: int = setting(1, "1", "threads of the training, processes of the recording", low=1, high=256)
    collect: ArmCollectRecipe = ArmCollectRecipe()
    train: ArmTrainRecipe = ArmTrainRecipe()
    augment: ArmLookRecipe = ArmLookRecipe()
    dagger: ArmDaggerRecipe = ArmDaggerRecipe()

    def check(self) -> ArmRecipe:
        """Refuse a recipe that would look at the tests' seeds.

        Raises:
            SettingsError: naming the seeds; or lists that are not of one length.
        """
        collect, count = self.collect, len(self.collect.scenes)
        for name, values in (
            ("collect.seconds", collect.seconds),
            ("collect.episodes", collect.episodes),
            ("collect.glimpsed", collect.glimpsed),
            ("collect.disturb", collect.disturb),
            ("dagger.episodes", self.dagger.episodes),
        ):
            if len(values) != count:
                raise SettingsError(f"'{name}' has {len(values)} values; it must have {count}, one per scene")
        for name, values in (("sight_steps", self.train.sight_steps), ("policy_steps", self.train.policy_steps)):
            if len(values) <= self.dagger.rounds:
                raise SettingsError(
                    f"'train.{name}' has {len(values)} values; with {self.dagger.rounds} DAgger rounds it must have "
                    f"{self.dagger.rounds + 1}"
                )
        used = int(max(collect.episodes) + self.dagger.rounds * max(self.dagger.episodes))
        for name, first, count in (
            ("first_seed", collect.first_seed, used),
            ("first_glimpsed", collect.first_glimpsed, int(max(collect.glimpsed))),
        ):
            if first < TEST_SEEDS.stop and first + count > TEST_SEEDS.start:
                raise SettingsError(
                    f"'collect.{name}' is {first} and {count} seeds follow; seeds {TEST_SEEDS.start} to "
                    f"{TEST_SEEDS.stop - 1} are kept for tests"
                )
        return self
