# SPDX-License-Identifier: Apache-2.0
"""The model bundle: a folder with ``bundle.json``, ``weights.safetensors`` and ``backbone.onnx``; never a pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from tidegate.errors import BundleError, SettingsError
from tidegate.settings.perception import PerceptionSettings
from tidegate.settings.policy import PolicySettings
from tidegate.settings.schema import build

FORMAT = 1
MANIFEST, WEIGHTS, BACKBONE = "bundle.json", "weights.safetensors", "backbone.onnx"


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A trained network and all that is needed to run it.

    Attributes:
        name: of the model; ``robot``: of the vehicle it drives; ``mass_kg``: that vehicle's mass at training.
        wiring: ``Wiring.to_dict()`` of the liquid network.
        perception, policy: the settings it was trained with.
        conformal: (2 + K,) factor from predicted scale to error bound of each lane value; empty = not calibrated.
        outlier_distance: distance of the training signatures that ``outlier_factor`` multiplies; 0 = not known.
        training: free record of how it was made (data hashes, seed, versions, metrics).
        arrays: ``liquid.*`` the liquid network, ``outlier.mean`` (S,) and ``outlier.whiten`` (S, S) the look of
            the training images.
        backbone: ONNX model of the convolutional network with its lane head.
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
    training: dict[str, Any] = dataclasses.field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write the folder ``path``; the manifest, which holds the hashes, comes last."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        weights = safetensors.save({name: np.ascontiguousarray(array) for name, array in self.arrays.items()})
        files = {WEIGHTS: weights, BACKBONE: self.backbone}
        manifest = {
            "format": FORMAT,
            "name": self.name,
            "robot": self.robot,
            "mass_kg": self.mass_kg,
            "perception": dataclasses.asdict(self.perception),
            "policy": dataclasses.asdict(self.policy),
            "conformal": self.conformal,
            "outlier_distance": self.outlier_distance,
            "training": self.training,
            "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
            "wiring": self.wiring,
        }
        for name, data in files.items():
            (path / name).write_bytes(data)
        (path / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path, robot: str | None = None) -> Bundle:
        """Read and check the folder ``path``.

        Args:
            path: the folder.
            robot: name of the vehicle that will be driven; None = any.

        Raises:
            BundleError: missing, corrupt, of a newer format, or made for another robot.
        """
        path = Path(path)
        manifest = _manifest(path)
        if robot is not None and manifest["robot"] != robot:
            raise BundleError(f"{path}: was made for robot '{manifest['robot']}'; this one is '{robot}'")
        files = {name: _checked(path / name, manifest["sha256"].get(name)) for name in (WEIGHTS, BACKBONE)}
        try:
            return cls(
                name=str(manifest["name"]),
                robot=str(manifest["robot"]),
                mass_kg=float(manifest["mass_kg"]),
                wiring=manifest["wiring"],
                perception=build(PerceptionSettings, manifest["perception"], str(path / MANIFEST), "perception."),
                policy=build(PolicySettings, manifest["policy"], str(path / MANIFEST), "policy."),
                arrays=safetensors.load(files[WEIGHTS]),
                backbone=files[BACKBONE],
                conformal=tuple(float(factor) for factor in manifest["conformal"]),
                outlier_distance=float(manifest["outlier_distance"]),
                training=manifest["training"],
            )
        except SettingsError as error:
            raise BundleError(str(error)) from error
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise BundleError(f"{path}: is corrupt ({type(error).__name__}: {error})") from error

    def part(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The arrays below ``prefix``, their names without it."""
        start = f"{prefix}."
        return {name[len(start) :]: array for name, array in self.arrays.items() if name.startswith(start)}


def bundle_identity(path: Path) -> tuple[str, str]:
    """Name of the model in the folder ``path``, and SHA-256 of its manifest, which holds the hashes of its other files.

    Raises:
        BundleError: missing or corrupt; the other files are not looked at.
    """
    name = str(_manifest(path).get("name"))
    return name, hashlib.sha256(_read(path / MANIFEST)).hexdigest()


def _manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise BundleError(f"{path}: no such bundle (a folder with {MANIFEST}, {WEIGHTS}, {BACKBONE})")
    text = _read(path / MANIFEST)
    try:
        manifest = json.loads(text)
        version = int(manifest["format"])
        if not isinstance(manifest["robot"], str) or not isinstance(manifest["sha256"], dict):
            raise TypeError("'robot' must be text and 'sha256' a mapping")
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path / MANIFEST}: is corrupt ({type(error).__name__}: {error})") from error
    if version > FORMAT:
        raise BundleError(f"{path}: has format {version}; this version reads up to {FORMAT}: update tidegate")
    return dict(manifest)


def _checked(path: Path, expected: str | None) -> bytes:
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != expected:
        raise BundleError(f"{path}: is corrupt (its SHA-256 is not the one in {MANIFEST})")
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
