# SPDX-License-Identifier: Apache-2.0
"""The episodes that a plan asks for, in the order of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.campaign import shared_facts
from tidegate.attack.episode import Episode
from tidegate.bundle import Bundle
from tidegate.campaign.plan import Plan
from tidegate.campaign.work import Job
from tidegate.errors import SettingsError
from tidegate.evaluation.rollout import Task, check_task
from tidegate.settings import load_settings

COLUMNS: dict[str, type] = {
    "key": str, "what": str, "bundle": str, "bundle_sha256": str, "scene": str, "seed": int, "driver": str,
    "adversary": str, "sensors": str, "from_speed": float, "camera": bool, "seconds": float, "disable": str,
}  # fmt: skip
"""What the table says of an episode beside what came of it; what does not apply is null."""


def episodes(plan: Plan) -> tuple[list[Job], dict[str, str]]:
    """Every episode, and the facts that all of them depend on.

    Raises:
        SettingsError, SceneError, BundleError: one that cannot be driven, or is there twice.
    """
    settings = str(plan.settings.resolve())
    robot = load_settings(settings).vehicle.name
    for folder in plan.bundles.values():
        Bundle.load(folder, robot)
    facts = {name: shared_facts(settings, str(folder)) for name, folder in plan.bundles.items()}
    jobs = [*_evaluations(plan, settings, facts), *_attacks(plan, settings, facts)]
    twice = [key for key, count in Counter(job.key for job in jobs).items() if count > 1]
    if twice:
        raise SettingsError(f"the plan has the episode '{twice[0]}' twice; name each scene, seed and adversary once")
    common = next(iter(facts.values()))
    identities = {f"bundle {name}": one["bundle"] for name, one in facts.items()}
    return jobs, {"plan": plan.text, "settings": common["settings"], "code": common["code"], **identities}


def _evaluations(plan: Plan, settings: str, facts: Mapping[str, Mapping[str, str]]) -> Iterator[Job]:
    told = plan.evaluate
    if told is None:
        return
    alone = told.driver == "expert"
    for bundle, scene in product([next(iter(plan.bundles))] if alone else plan.bundles, plan.over.scenes):
        folder = str(plan.bundles[bundle].resolve())
        tasks = [
            Task(settings, folder, scene, seed, told.driver, disable=told.disable, longest_s=told.seconds)
            for seed in plan.seeds
        ]
        check_task(tasks[0])
        for task in tasks:
            columns = {"what": "evaluate", "scene": scene, "seed": task.seed, "driver": told.driver}
            columns |= {"seconds": told.seconds, "disable": ",".join(told.disable)}
            yield _job(task, columns, None if alone else bundle, facts)


def _attacks(plan: Plan, settings: str, facts: Mapping[str, Mapping[str, str]]) -> Iterator[Job]:
    told = plan.attack
    if told is None:
        return
    if unknown := [name for name in told.adversaries if name not in ADVERSARIES]:
        raise SettingsError(f"no adversary '{unknown[0]}'; known: {', '.join(ADVERSARIES)}")
    chosen, first = told.adversaries or tuple(ADVERSARIES), plan.seeds[0]
    for bundle, scene in product(plan.bundles if told.camera else [next(iter(plan.bundles))], plan.over.scenes):
        folder = str(plan.bundles[bundle].resolve())
        check_task(Task(settings, folder, scene, first, "expert", disable=told.disable))
        for seed, adversary in product(plan.seeds, chosen):
            sensors = told.sensors[seed % len(told.sensors)]
            speed = told.from_speed[seed // len(told.sensors) % len(told.from_speed)]
            episode = Episode(
                settings, folder, scene, seed, adversary, sensors, told.seconds, speed, told.camera, told.disable
            )
            columns = {"what": "attack", "scene": scene, "seed": seed, "adversary": adversary, "sensors": sensors}
            columns |= {"from_speed": speed, "camera": told.camera, "seconds": told.seconds}
            yield _job(episode, columns | {"disable": ",".join(told.disable)}, bundle if told.camera else None, facts)


def _job(
    task: Task | Episode, columns: Mapping[str, Any], bundle: str | None, facts: Mapping[str, Mapping[str, str]]
) -> Job:
    """``bundle`` is the name of the one that drives or sees; None = none does."""
    words = (columns["what"], bundle, columns["scene"], columns["seed"], columns.get("adversary"))
    key = " ".join(str(word) for word in words if word is not None)
    if bundle is None:
        needs = {name: value for name, value in next(iter(facts.values())).items() if name != "bundle"}
        return Job(key, task, needs, {"key": key, **columns})
    whose = {"bundle": bundle, "bundle_sha256": facts[bundle]["bundle"]}
    return Job(key, task, facts[bundle], {"key": key, **whose, **columns})
