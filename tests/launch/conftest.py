# SPDX-License-Identifier: Apache-2.0
"""A fresh colcon build to launch from, and a bundle with random weights."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from launched import Launched

from domains import random_domain
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sourced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A fresh colcon build in a folder of its own, sourced."""
    colcon = shutil.which("colcon", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if colcon is None:
        pytest.skip("colcon is absent")
    place = tmp_path_factory.mktemp("workspace")
    build = [colcon, "--log-base", str(place / "log"), "build", "--base-paths", str(ROOT)]
    subprocess.run(build, cwd=place, check=True, capture_output=True)
    installed = place / "install" / "tidegate"
    (site,) = installed.glob("lib/python*/site-packages")
    prefixes = [str(installed), *filter(None, [os.environ.get("AMENT_PREFIX_PATH"), sys.prefix])]
    return {
        **os.environ,
        "AMENT_PREFIX_PATH": os.pathsep.join(prefixes),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(place / "ros"),
        "RCUTILS_COLORIZED_OUTPUT": "0",
    }


@pytest.fixture
def environment(sourced: dict[str, str]) -> dict[str, str]:
    """With a domain of its own: a process that was killed leaves unread messages in shared memory, and whoever comes
    after it in the same domain may read there of nodes that are no more."""
    return {**sourced, "ROS_DOMAIN_ID": random_domain()}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    from tidegate.stack import Stack

    settings = load_settings(share_path("config/car.yaml"))
    mass = Car.from_settings(settings).effective_mass
    Stack.from_settings(settings, 0).to_bundle("random", settings, mass).save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def launch(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    made: list[Launched] = []

    def start(*arguments: str, **variables: str) -> Launched:
        made.append(Launched({**environment, **variables}, tmp_path / f"launch{len(made)}.log", *arguments))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()


@pytest.fixture
def listen(environment: dict[str, str]) -> Iterator[Callable[..., Any]]:
    from listener import Listener  # needs ROS

    made: list[Listener] = []

    def start(*, lock_step: bool, namespace: str = "") -> Listener:
        made.append(Listener(environment, lock_step=lock_step, namespace=namespace))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def car(request: pytest.FixtureRequest, environment: dict[str, str], listen: Callable[..., Any]) -> Iterator[Any]:
    """A simulated car whose drivers are up already, as a robot's are; it outlives the launch. A parameter tells by
    which names they publish."""
    from lifecycle_msgs.msg import Transition

    from tidegate.nodes.topics import remap_flags

    settings = str(share_path("config/car.yaml"))
    flags = ["--ros-args", "--params-file", settings, "-p", "use_sim_time:=true", "-p", "seed:=1003"]
    names = remap_flags(*getattr(request, "param", {}).items())
    process = subprocess.Popen(
        [sys.executable, "-m", "tidegate.nodes.main", "simulator_node", *flags, *names],
        env={**environment, "MUJOCO_GL": "egl"},
        stderr=subprocess.DEVNULL,
    )
    try:
        listener = listen(lock_step=False)
        listener.change("simulator_node", Transition.TRANSITION_CONFIGURE, "inactive")
        listener.change("simulator_node", Transition.TRANSITION_ACTIVATE, "active")
        yield listener
    finally:
        process.kill()
        process.wait()
