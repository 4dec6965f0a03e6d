# SPDX-License-Identifier: Apache-2.0
"""What the evaluator asks of a simulator, the embedded world or a user's own, and how one is found by name."""

from __future__ import annotations

import importlib
import inspect
from types import TracebackType
from typing import Any, Protocol, TypeVar

from tidegate.errors import SettingsError, TidegateError
from tidegate.records import Command
from tidegate.robot import Car
from tidegate.settings import Settings
from tidegate.simulation import Observation, Simulator, Truth

EMBEDDED = "tidegate.simulation:Simulator"
"""Name of the embedded world."""

Self = TypeVar("Self", bound="AnySimulator")
Made = TypeVar("Made", bound="AnySimulator", covariant=True)


class AnySimulator(Protocol):
    """A car on a road in lock-step: ``observe``, ``apply``, ``step``, over and over. Time stands still in between.

    It is a context manager: leaving it frees whatever it holds. Times are simulated and never run back; all else as
    the records say, SI.
    """

    @property
    def car(self) -> Car:
        """The car that drives, as ``Car.from_settings`` makes it."""

    @property
    def now(self) -> int:
        """Simulated time [ns]; grows by 1 / ``safety.rate_hz`` with each ``step``, and by nothing else."""

    def observe(self) -> Observation:
        """What the sensors deliver at this tick, stamped when measured; asking twice gives the same.

        Joints (all of ``car.joint_names``), odometry and IMU come every tick, a scan and a picture when due (None
        otherwise), the picture ``camera.latency_s`` after its stamp. The driver and the filter see nothing else.
        """

    def apply(self, command: Command) -> None:
        """Hand joint efforts [N·m] to the actuators, which hold them until the next command.

        An effort below zero on a wheel is a brake request (``robot.Actuation``): never turn a wheel backwards for it.
        """

    def step(self) -> None:
        """Advance by one period of ``safety.rate_hz``."""

    def truth(self) -> Truth:
        """True state after the last step. Only evaluation, and the bag it records, may read it."""

    def state_hash(self) -> str:
        """A text that is equal where two drives led to the same state, bit for bit."""

    def __enter__(self: Self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


MEMBERS = (*(name for name in vars(AnySimulator) if not name.startswith("_")), "__enter__", "__exit__")
"""Names of all that a simulator must have."""


class MakeSimulator(Protocol[Made]):
    """The class of a simulator, as the evaluator calls it.

    ``scene`` and ``seed`` say what to drive in; what they mean is the simulator's own affair, but the same ones give
    the same world. ``camera``: whether pictures are needed.
    """

    def __call__(self, settings: Settings, scene: str, seed: int, *, camera: bool) -> Made:
        """Build the world and stand the car on its road.

        Raises:
            SceneError: it does not have this scene, or not with this seed.
        """


def load_simulator(name: str) -> MakeSimulator[AnySimulator]:
    """The class that ``name`` (``module:Class``) says.

    Raises:
        SettingsError: not of that form, no such module or class, or it is made in another way.
    """
    module, colon, wanted = name.partition(":")
    if not (colon and wanted.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise SettingsError(f"simulator is '{name}'; it must be module:Class, such as {EMBEDDED}")
    try:
        kind: Any = getattr(importlib.import_module(module), wanted, None)
    except TidegateError:
        raise
    except ImportError as error:
        raise SettingsError(
            f"simulator '{name}': module {module} cannot be imported ({error}); it must be installed or on PYTHONPATH"
        ) from error
    if not callable(kind):
        raise SettingsError(f"simulator '{name}': module {module} has no class {wanted}")
    try:
        inspect.signature(kind).bind(None, "", 0, camera=False)
    except TypeError as error:
        raise SettingsError(
            f"simulator '{name}': cannot be called as {wanted}(settings, scene, seed, camera=True): {error}"
        ) from error
    made: MakeSimulator[AnySimulator] = kind
    return made


def check_simulator(name: str, settings: Settings, scene: str, seed: int) -> None:
    """Make a simulator without a camera and leave it again.

    Raises:
        SettingsError: as ``load_simulator``, or it lacks a member; TidegateError: it cannot be made.
    """
    made = load_simulator(name)(settings, scene, seed, camera=False)
    missing = [member for member in MEMBERS if not hasattr(made, member)]
    if missing:
        raise SettingsError(f"simulator '{name}' lacks {', '.join(missing)}; it needs {', '.join(MEMBERS)}")
    with made:
        pass


def embedded(name: str) -> type[Simulator] | None:
    """The class that ``name`` says where it is the embedded world or built on it, else None: no expert drives there.

    Raises:
        SettingsError: as ``load_simulator``.
    """
    kind: object = load_simulator(name)
    return kind if isinstance(kind, type) and issubclass(kind, Simulator) else None
