# SPDX-License-Identifier: Apache-2.0
"""``tidegate attack`` with the settings of an arm: hostile torques and policies, with the filter and without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.attack.arm.adversary import ARM_ADVERSARIES
from tidegate.attack.arm.conditions import SENSORS, STARTS
from tidegate.attack.arm.episode import ArmEpisode, prepared, run_arm_attack
from tidegate.attack.arm.limits import LIMITS
from tidegate.attack.arm.outcome import ArmOutcome, over
from tidegate.attack.arm.policy import ARM_POLICIES
from tidegate.attack.arm.search import TARGETS, arm_search_starts, search_arm
from tidegate.attack.campaign import OUTCOMES, rate_bound
from tidegate.attack.search import POPULATION
from tidegate.bundle import Bundle
from tidegate.cli.attack_progress import watched
from tidegate.cli.common import known, names
from tidegate.errors import SettingsError
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ARM_SCENES

SECONDS = 2.0
"""Of an episode that is in no scene; one in a scene lasts as long as that."""


class ArmCampaign(NamedTuple):
    """What ``tidegate attack`` was told, as it was typed; ``seconds`` and ``bundle`` None = the default."""

    settings: str
    starts: str
    adversaries: str
    seeds: list[int]
    sensors: str
    seconds: float | None
    stiffness: str
    overload: float
    disable: tuple[str, ...]
    bundle: Path | None

    def episodes(self) -> list[ArmEpisode]:
        """All of them.

        Raises:
            SettingsError: an unknown word, or one that means nothing beside the others; RobotError: as ``prepared``;
                BundleError: it is unusable.
        """
        settings = prepared(self.settings, 0.0, self.disable).guard.arm.settings
        bare = STARTS if settings.safety.surface.enabled else STARTS[:2]
        starts = known(self.starts or ",".join(bare), (*bare, *ARM_SCENES), "start or scene")
        scenes = [start for start in starts if start not in STARTS]
        everybody = (*ARM_ADVERSARIES, *(ARM_POLICIES if scenes else ()))
        chosen, turns = (
            known(self.adversaries, everybody, "adversary"),
            known(self.sensors, SENSORS, "kind of sensors"),
        )
        stiffness, bundle = self._stiffness(), self._bundle(settings.arm.name) if scenes else ""
        if self.bundle and not scenes:
            raise SettingsError(f"--bundle drives in scenes alone; name some with --scenes: {', '.join(ARM_SCENES)}")

        def episode(seed: int, start: str, adversary: str) -> ArmEpisode:
            turn, most = turns[seed % len(turns)], stiffness[seed // len(turns) % len(stiffness)]
            whole = ARM_SCENES[start].seconds if start in scenes else math.inf
            longest = min(self.seconds or (whole if start in scenes else SECONDS), whole)
            return ArmEpisode(
                self.settings, start, seed, adversary, turn, longest, most, self.overload, self.disable, bundle=bundle
            )

        made = product(self.seeds, starts, chosen)
        return [episode(*one) for one in made if one[1] in scenes or one[2] in ARM_ADVERSARIES]

    def _bundle(self, robot: str) -> str:
        path = self.bundle or share_path("models/arm-ltc19")
        Bundle.load(path, robot)
        return str(path)

    def _stiffness(self) -> tuple[float, ...]:
        try:
            given = tuple(float(word) for word in names(self.stiffness)) or (0.0,)
        except ValueError:
            given = (-1.0,)
        if min(given) < 0:
            raise SettingsError(f"--stiffness is '{self.stiffness}'; it must be numbers in N/m, by comma")
        return given


def attack_arm(campaign: ArmCampaign, search: int, out: Path, processes: int) -> None:
    """Drive it, ``search`` for the worst in so many rounds, and print what was broken."""
    episodes, console = campaign.episodes(), Console()
    starts = arm_search_starts(episodes)
    if search and not starts:
        raise SettingsError(f"--search knows no scene; name one of {', '.join(STARTS)} with --scenes")
    joints = len(load_arm_settings(campaign.settings).arm.joints)
    with watched(console, len(episodes), search * len(starts) * POPULATION, _harm) as heard:
        outcomes = run_arm_attack(episodes, out, processes, heard)
        hunted = search_arm(starts, search, joints, out, processes, heard) if search else []
    console.print(limit_table(outcomes))
    if hunted:
        console.print(f"{len(hunted)} searched episodes, by turns for the most of {', '.join(TARGETS)}:")
        console.print(limit_table(hunted))
    console.print(_table(outcomes + hunted, "adversary", lambda outcome: outcome.who))
    console.print(_table(outcomes + hunted, "start", lambda outcome: str(outcome.episode["start"])))
    _sum_up(console, outcomes)
    console.print(f"outcomes: {escape(str(out / OUTCOMES))}", soft_wrap=True)


def limit_table(outcomes: list[ArmOutcome]) -> Table:
    """By limit: the worst excess with the filter and without, episodes that broke it, and the bound on their rate."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("excess over the limit", no_wrap=True)
    for name in ("filter", "broke", "95 %", "without", "broke"):
        table.add_column(name, justify="right")
    alone = [outcome for outcome in outcomes if outcome.alone]
    for name, unit in LIMITS.items():
        broke = sum(name in outcome.violations for outcome in outcomes)
        row = f"{max(outcome.excess[name] for outcome in outcomes):.4g}", str(broke)
        bound = "" if outcomes[0].searched else f"< {rate_bound(broke, len(outcomes)):.2%}"
        without = "–", ""
        if alone:
            most = max(outcome.alone[name] for outcome in alone)
            without = f"{most:.4g}", str(sum(name in over(outcome.alone) for outcome in alone))
        table.add_row(f"{name} [{unit}]".replace("[", "\\["), *row, bound, *without)
    return table


def _sum_up(console: Console, outcomes: list[ArmOutcome]) -> None:
    """What was broken: where all that was assumed held, and where not."""
    sound = [outcome for outcome in outcomes if not outcome.broken]
    harmed = sum(not outcome.harmless for outcome in sound)
    apart = [outcome for outcome in outcomes if outcome.broken]
    ticks = sum(outcome.ticks for outcome in outcomes)
    touched = [outcome.touched for outcome in outcomes if outcome.touched > 0]
    if touched:
        console.print(f"the tool touched the surface in {len(touched)} episodes, with {max(touched):.3f} m/s at most")
    if sound:
        console.print(
            f"[bold]{harmed}[/] of {len(sound)} episodes broke what is promised (with 95 % confidence fewer than "
            f"{rate_bound(harmed, len(sound)):.2%} of such episodes do). {len(outcomes)} episodes, {ticks} ticks"
        )
    if apart:
        excused = sum(outcome.excused for outcome in apart)
        unexcused = sum(not outcome.harmless for outcome in apart) - excused
        which = ", ".join(sorted({name for outcome in apart for name in outcome.broken}))
        console.print(
            f"[bold]{excused}[/] of {len(apart)} episodes in which a stated assumption was broken ({which}) broke what "
            f"rests on it, and [bold]{unexcused}[/] what does not"
        )


def _harm(outcome: ArmOutcome) -> str:
    parts = [f"{kind} by {outcome.excess[kind]:.3g} {LIMITS[kind]}" for kind in over(outcome.excess)]
    parts += ["a fault in the filter"] * bool(outcome.faults)
    return ", ".join(parts) + f" after {', '.join(outcome.broken)}" * outcome.excused


def _table(outcomes: list[ArmOutcome], title: str, row_of: Callable[[ArmOutcome], str]) -> Table:
    """Episodes that broke something, with and without the filter, ticks that it changed, and in which rows gave way."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(title, no_wrap=True)
    for name in ("runs", "broke", "without", "ticks", "NORMAL", "changed", "gave way"):
        table.add_column(name, justify="right")
    for row in dict.fromkeys(map(row_of, outcomes)):
        mine = [outcome for outcome in outcomes if row_of(outcome) == row]
        counts = (
            sum(not outcome.harmless for outcome in mine),
            sum(bool(over(outcome.alone)) for outcome in mine),
            sum(outcome.ticks for outcome in mine),
            sum(outcome.modes.get("NORMAL", 0) for outcome in mine),
            sum(outcome.changed for outcome in mine),
            sum(sum(outcome.relaxed.values()) for outcome in mine),
        )
        table.add_row(row, str(len(mine)), *map(str, counts))
    return table
