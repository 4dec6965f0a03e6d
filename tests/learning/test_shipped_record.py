# SPDX-License-Identifier: Apache-2.0
"""The shipped bundle is what training gives today: the drives that it learned from are recorded the same."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tidegate.bag import bag_hash
from tidegate.bundle import Bundle
from tidegate.learning.collect import plan_drives, record_drive
from tidegate.learning.recipe import CollectRecipe
from tidegate.machine import processor
from tidegate.share import share_path

KINDS = ("road", "traffic", "truck", "close", "road_whiteout")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    """The training record; another processor or library may round or draw otherwise, which says nothing."""
    made = Bundle.load(share_path("models/car-ltc19")).training
    here = {name: version(name) for name in ("mujoco", "numpy", "rosbags")}
    there = {name: made["versions"][name] for name in here}
    on = made.get("processor", "a processor that its record does not name")
    if (there, on) != (here, processor()):
        pytest.skip(f"the shipped bundle was made with {there} on {on}")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_drive_that_trained_the_shipped_bundle_is_recorded_the_same(
    kind: str, record: dict[str, Any], config: Path, tmp_path: Path
) -> None:
    recipe = CollectRecipe(**record["recipe"]["collect"])
    plans = plan_drives(config, tmp_path, recipe.first_seed, recipe.drives, recipe)
    plan = next(plan for plan in plans if Path(plan.out).name.startswith(f"{kind}-"))
    record_drive(plan)
    name = Path(plan.out).name
    assert bag_hash(Path(plan.out)) == record["data_sha256"][f"expert/{name}"], (
        f"{name} is another drive today: models/car-ltc19 is not what `make train` gives; train and ship it anew"
    )
