# SPDX-License-Identifier: Apache-2.0
"""The model bundle: a folder with ``bundle.json``, ``weights.safetensors``, ``backbone.onnx`` and their manifest."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from tidegate.errors import BundleError, SettingsError
from tidegate.security.manifest import CARD, identity, read_sealed, write_manifest
from tidegate.settings.arm_policy import ToolScales
from tidegate.settings.perception import PerceptionSettings
from tidegate.settings.policy import PolicySettings
from tidegate.settings.schema import build, mapping, setting

FORMAT = 2
"""2: the hashes moved from ``bundle.json`` to the manifest, which covers every file."""
DESCRIPTION, WEIGHTS, BACKBONE = "bundle.json", "weights.safetensors", "backbone.onnx"


@dataclass(frozen=True, slots=True)
class CameraView:
    """What a pinhole camera with its axis in the picture's centre sees from the car.

    ``xyz`` [m] and ``rpy`` [rad] are the pose of ``camera_link`` in ``base_link``, as the URDF has them.
    """

    xyz: tuple[float, ...] = setting((), "m", "position, three numbers", low=-100, high=100)
    rpy: tuple[float, ...] = setting((), "rad", "roll, pitch, yaw, three numbers", low=-7, high=7)
    width: int = setting(0, "px", "of the picture", low=1, high=4096)
    height: int = setting(0, "px", "of the picture", low=1, high=4096)
    fov_deg: float = setting(0.0, "deg", "vertical field of view", low=5, high=150)


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A trained network and all that is needed to run it.

    Attributes:
        name: of the model; ``robot``: of the vehicle or arm it drives; ``mass_kg``: a vehicle's mass at training, 0 of
            an arm, whose policy asks for nothing that it decides.
        wiring: ``Wiring.to_dict()`` of the liquid network.
        perception, policy: the settings it was trained with.
        conformal: (2 + K,) factor from predicted scale to error bound of each lane value; empty = not calibrated.
        outlier_distance: distance of the training signatures that ``outlier_factor`` multiplies; 0 = not known.
        camera: what the camera saw that it was trained with; None = not known, as in bundles of before.
        tool: scales of an arm's policy; None = a car's.
        training: free record of how it was made (data hashes, seed, versions, metrics).
        arrays: ``liquid.*`` the liquid network, ``outlier.mean`` (S,) and ``outlier.whiten`` (S, S) the look of
            the training images.
        backbone: ONNX model of the convolutional network with its lane head (an arm's: head of places).
    """

    name: str
    robot: str
    mass_kg: float
    wiring: dict[str, Any]
    perception: PerceptionSettings
    policy: PolicySettings
    arrays: dict[str, NDArray[Any]]
    backbone: bytes
    conformal: tuple[float, ...] = ()
    outlier_distance: float = 0.0
    camera: CameraView | None = None
    tool: ToolScales | None = None
    training: dict[str, Any] = dataclasses.field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write the folder ``path``, the manifest last; a signature and a model card that were there go: they were of
        what was there before."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        weights = safetensors.save({name: np.ascontiguousarray(array) for name, array in self.arrays.items()})
        description = {
            "format": FORMAT,
            "name": self.name,
            "robot": self.robot,
            "mass_kg": self.mass_kg,
            **({} if self.camera is None else {"camera": dataclasses.asdict(self.camera)}),
            **({} if self.tool is None else {"tool": dataclasses.asdict(self.tool)}),
            "perception": dataclasses.asdict(self.perception),
            "policy": dataclasses.asdict(self.policy),
            "conformal": self.conformal,
            "outlier_distance": self.outlier_distance,
            "training": self.training,
            "wiring": self.wiring,
        }
        text = json.dumps(description, indent=1, ensure_ascii=False) + "\n"
        files = {DESCRIPTION: text.encode(), WEIGHTS: weights, BACKBONE: self.backbone}
        for name, data in files.items():
            (path / name).write_bytes(data)
        (path / CARD).unlink(missing_ok=True)
        write_manifest(path, files)

    @classmethod
    def load(cls, path: str | Path, robot: str | None = None, signers: Sequence[str] = ()) -> Bundle:
        """Read and check the folder ``path``.

        Args:
            path: the folder.
            robot: name of the vehicle that will be driven; None = any.
            signers: public keys, one of which must have signed the bundle (``trust.keys``); empty = none need have.

        Raises:
            BundleError: missing, not what its manifest says, not signed by any of ``signers``, corrupt, of a newer
                format, or made for another robot.
            SettingsError: one of ``signers`` is no key.
        """
        path = Path(path)
        sealed = read_sealed(path)
        if signers:
            from tidegate.security.signature import require_signature  # its package is optional

            require_signature(path, sealed, signers)
        for name in (DESCRIPTION, WEIGHTS, BACKBONE):
            if name not in sealed.files:
                raise BundleError(f"{path / name}: is missing; a bundle has {DESCRIPTION}, {WEIGHTS}, {BACKBONE}")
        described = _description(path, sealed.files[DESCRIPTION])
        if robot is not None and described["robot"] != robot:
            raise BundleError(f"{path}: was made for robot '{described['robot']}'; this one is '{robot}'")
        try:
            return cls(
                name=str(described["name"]),
                robot=described["robot"],
                mass_kg=_at_least_zero(described["mass_kg"], "mass_kg"),
                wiring=dict(described["wiring"]),
                perception=build(PerceptionSettings, described["perception"], str(path / DESCRIPTION), "perception."),
                policy=build(PolicySettings, described["policy"], str(path / DESCRIPTION), "policy."),
                arrays=safetensors.load(sealed.files[WEIGHTS]),
                backbone=sealed.files[BACKBONE],
                conformal=tuple(_factor(factor) for factor in described["conformal"]),
                outlier_distance=_at_least_zero(described["outlier_distance"], "outlier_distance"),
                camera=_camera(described.get("camera"), str(path / DESCRIPTION)),
                tool=_tool(described.get("tool"), str(path / DESCRIPTION)),
                training=dict(described["training"]),
            )
        except SettingsError as error:
            raise BundleError(str(error)) from error
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError, SafetensorError) as error:
            raise BundleError(f"{path}: is corrupt ({type(error).__name__}: {error})") from error

    def part(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The arrays below ``prefix``, their names without it."""
        start = f"{prefix}."
        return {name[len(start) :]: array for name, array in self.arrays.items() if name.startswith(start)}


def bundle_identity(path: Path) -> tuple[str, str]:
    """Name of the model in the folder ``path``, and SHA-256 of its manifest, which holds the hashes of its files, the
    model card left out (``manifest.identity``).

    Raises:
        BundleError: missing, corrupt, or not what its manifest says.
    """
    sealed = read_sealed(path)
    described = _description(path, sealed.files.get(DESCRIPTION, b""))
    return str(described.get("name")), identity(sealed.manifest)


def _at_least_zero(value: Any, name: str) -> float:
    """A number that a bundle tells: what is none would switch off whatever is compared with it.

    Raises:
        ValueError, TypeError: it is none.
    """
    number = float(value)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} is {number:g}; it must be 0 or more")
    return number


def _factor(value: Any) -> float:
    """From a predicted scale to an error bound; inf = there were too few drives to know it.

    Raises:
        ValueError, TypeError: it is none.
    """
    number = float(value)
    if not number > 0:
        raise ValueError(f"conformal has {number:g}; a factor must be above 0")
    return number


def _camera(values: Any, source: str) -> CameraView | None:
    """The camera that a bundle tells of.

    Raises:
        SettingsError: a value is missing or out of range.
    """
    if values is None:
        return None
    known = mapping(values, "camera", source)
    if missing := sorted({item.name for item in dataclasses.fields(CameraView)} - set(known)):
        raise SettingsError(f"{source}: 'camera' lacks {', '.join(missing)}")
    made: CameraView = build(CameraView, known, source, "camera.")
    for name in ("xyz", "rpy"):
        if len(getattr(made, name)) != 3:
            raise SettingsError(f"{source}: 'camera.{name}' is {known[name]!r}; it must be three numbers")
    return made


def _tool(values: Any, source: str) -> ToolScales | None:
    """The scales that an arm's bundle tells of.

    Raises:
        SettingsError: a value is out of range.
    """
    if values is None:
        return None
    made: ToolScales = build(ToolScales, mapping(values, "tool", source), source, "tool.")
    if len(made.centre) != 3:
        raise SettingsError(f"{source}: 'tool.centre' is {list(made.centre)}; it must be three numbers")
    return made


def _description(path: Path, data: bytes) -> dict[str, Any]:
    try:
        described = json.loads(data)
        version = int(described["format"])
        if not isinstance(described["robot"], str):
            raise TypeError("'robot' must be text")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BundleError(f"{path / DESCRIPTION}: is corrupt ({type(error).__name__}: {error})") from error
    if version > FORMAT:
        raise BundleError(f"{path}: has format {version}; this version reads up to {FORMAT}: update tidegate")
    return dict(described)
