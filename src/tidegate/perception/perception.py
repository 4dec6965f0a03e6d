# SPDX-License-Identifier: Apache-2.0
"""Camera frame → features, lane estimate and health, as it runs on the robot."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError, ImageError
from tidegate.messages import camera_info
from tidegate.perception.health import HealthMonitor, Training
from tidegate.perception.image import check_kind, check_size, crop_rows, normalise, resize, shrink
from tidegate.perception.lane import error_scale, lane_estimate, unknown_lane
from tidegate.perception.layout import CONVS
from tidegate.perception.lens import Lens
from tidegate.perception.rectify import APART_M, Rectifier
from tidegate.perception.saliency import visual_backprop
from tidegate.perception.session import Session
from tidegate.records import CameraInfo, Features, Frame, ImageHealth, Level, Percept
from tidegate.robot import camera_view, load_description
from tidegate.settings import Settings

OUTPUTS = ["features", "lane", "lane_scale", "signature"]
MAPS = [f"map{index}" for index in range(len(CONVS))]


class Perception:
    """The backbone of a bundle under onnxruntime, on one thread, and the watch over its images.

    Pictures are those of the camera that the settings state, on the mount of the URDF, until ``calibrate`` tells of its
    lens; where that is another camera than the bundle was trained with, they are rectified first.

    Attributes:
        fault: why no picture of this camera can be used; empty = they can.
    """

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        """Take the network and its input from ``bundle``, camera and health thresholds from ``settings``.

        Raises:
            BundleError: the backbone is no model that can be run, or does not fit the bundle's settings; the robot's
                camera sits elsewhere than the bundle's did, or does not show what that one showed; the settings have
                the lane's curvatures at other distances than the bundle.
            RobotError: the URDF cannot be read, or says no mount of the camera.
        """
        self._shape = bundle.perception
        self._camera = settings.camera
        if (stated := settings.perception.preview_m) != self._shape.preview_m:  # by those the safety filter goes
            raise BundleError(
                f"bundle '{bundle.name}': gives the lane's curvature at {_listed(self._shape.preview_m)} m; the "
                f"settings' 'perception.preview_m' is {_listed(stated)}"
            )
        self._look(bundle, settings)
        self._conformal = bundle.conformal
        self._thresholds = settings.perception
        training = None
        if bundle.outlier_distance > 0:
            known = bundle.part("outlier")
            if not {"mean", "whiten"} <= known.keys():
                raise BundleError(f"bundle '{bundle.name}': lacks outlier.mean or outlier.whiten")
            training = Training(known["mean"], known["whiten"], bundle.outlier_distance)
        self._training = training
        self.forget()
        size = (self._shape.input_height, self._shape.input_width)
        try:
            self._run = Session(bundle.backbone)
            features, lane, _, signature = self._run(np.zeros((3, *size), np.float32), OUTPUTS)
        except Exception as error:  # onnxruntime raises classes of its own, without a common base
            raise BundleError(f"bundle '{bundle.name}': its backbone cannot be run ({error})") from error
        values = 2 + len(self._shape.preview_m)
        if features.shape != (self._shape.features,) or lane.shape != (values,):
            raise BundleError(f"bundle '{bundle.name}': its backbone gives {features.shape} and {lane.shape}")
        length = len(signature)
        if training is not None and (training.mean.shape, training.whiten.shape) != ((length,), (length, length)):
            raise BundleError(
                f"bundle '{bundle.name}': its training signatures have another length than its backbone's"
            )
        if len(self._conformal) not in (0, values):
            raise BundleError(f"bundle '{bundle.name}': has {len(self._conformal)} conformal factors, not {values}")

    def forget(self) -> None:
        """Judge the next picture as if it were the first."""
        self._health = HealthMonitor(self._thresholds, self._training)

    def _look(self, bundle: Bundle, settings: Settings) -> None:
        """Compare the robot's camera with the bundle's.

        Raises:
            BundleError, RobotError: as ``__init__``.
        """
        description = load_description(settings.vehicle.urdf)
        own = camera_view(settings, description)
        self._view, self._rpy = bundle.camera or own, own.rpy
        if not np.linalg.norm(np.subtract(own.xyz, self._view.xyz)) <= APART_M:
            here, there = (", ".join(f"{value:g}" for value in view.xyz) for view in (own, self._view))
            raise BundleError(
                f"{description.source}: camera_link is at ({here}) m in base_link; bundle '{bundle.name}' was trained "
                f"with a camera at ({there}): they may be {APART_M:g} m apart, for pictures can be turned, not moved"
            )
        self._stated = camera_info(0, settings.camera)
        self.fault = ""
        self._told: tuple[object, ...] = ()
        try:
            self._rectifier = self._fit(self._stated)
        except ImageError as error:
            stated = f"{self._camera.width} × {self._camera.height} px, camera.fov_deg {self._camera.fov_deg:g}"
            raise BundleError(
                f"{description.source} and its settings ({stated}) do not fit bundle '{bundle.name}': {error}"
            ) from error

    @property
    def bounded(self) -> bool:
        """Whether the bundle's lane is calibrated; else its error bounds are infinite, and no barrier goes by it."""
        return len(self._conformal) > 0 and bool(np.isfinite(self._conformal).all())

    @property
    def rectifies(self) -> bool:
        """Whether pictures are another camera's than the bundle's."""
        return self._rectifier.needed

    def calibrate(self, info: CameraInfo) -> str:
        """Go by what the camera says of its lens, from the next frame on; what cannot be used becomes ``fault``.

        Returns:
            what came of it, in one line; empty = nothing new was said.
        """
        lens = (info.width, info.height, info.k.tobytes(), info.distortion_model, info.d.tobytes())
        said = (*lens, info.binning, info.window)
        if said == self._told:
            return ""
        self._told, self.fault = said, ""
        calibrated = bool(info.k.any())
        try:
            self._rectifier = self._fit(info if calibrated else self._stated)
        except ImageError as error:
            self.fault = str(error)
            return self.fault
        source = (
            "camera_info" if calibrated else "camera_info is not calibrated (K is zero): the settings' camera.fov_deg"
        )
        if not self._rectifier.needed:
            return f"{source}: the picture is as in training"
        return (
            f"{source}: the picture is rectified to that of the bundle's camera, turned by "
            f"{self._rectifier.turned_deg:.1f}°; {self._rectifier.missing:.0%} of it is missing"
        )

    def _fit(self, info: CameraInfo) -> Rectifier:
        """What makes the bundle's picture out of this camera's.

        Raises:
            ImageError: ``info`` is not usable, is of another size than the settings state, or shows too little.
        """
        lens, camera = Lens.of(info), self._camera
        if (lens.width, lens.height) != (camera.width, camera.height):
            raise ImageError(
                f"camera_info: is of {lens.width} × {lens.height} px; "
                f"the settings state {camera.width} × {camera.height} px"
            )
        return Rectifier(self._view, self._rpy, lens, self._shape)

    def process(self, frame: Frame) -> Percept:
        """Read one frame; a frame that cannot be used gives health ERROR, an unknown lane and features of NaN."""
        try:
            small = self._small(frame)
        except ImageError as error:
            health = ImageHealth(frame.stamp, Level.ERROR, (str(error),))
            nothing = np.full(self._shape.features, np.nan, np.float32)
            return Percept(
                Features(frame.stamp, nothing), unknown_lane(frame.stamp, len(self._shape.preview_m)), health
            )
        features, lane, scale, signature = self._run(normalise(small), OUTPUTS)
        return Percept(
            features=Features(frame.stamp, features),
            lane=lane_estimate(frame.stamp, lane, error_scale(scale, self._shape), self._conformal),
            health=self._health.judge(frame.stamp, small, features, signature),
        )

    def saliency(self, frame: Frame) -> NDArray[np.float32]:
        """What the backbone looks at, (H, W) of the frame in [0, 1]; zero where it does not look.

        Raises:
            ImageError: the frame cannot be used.
        """
        maps = self._run(normalise(self._small(frame)), MAPS)
        salient = visual_backprop(maps, (self._shape.input_height, self._shape.input_width))
        if self._rectifier.needed:
            return self._rectifier.back(salient)
        height, width = frame.image.shape[:2]
        top, bottom = crop_rows(height, self._shape)
        placed = np.zeros((height, width), np.float32)
        placed[top:bottom] = cv2.resize(salient, (width, bottom - top), interpolation=cv2.INTER_LINEAR)
        return placed

    def _small(self, frame: Frame) -> NDArray[np.uint8]:
        """The network's input (input_height, input_width, 3).

        Raises:
            ImageError: the frame cannot be used.
        """
        check_size(frame.image, self._camera)
        if self.fault:
            raise ImageError(self.fault)
        if not self._rectifier.needed:
            return shrink(frame.image, self._shape)
        check_kind(frame.image)
        return resize(self._rectifier.apply(frame.image), self._shape)


def _listed(distances: tuple[float, ...]) -> str:
    return ", ".join(f"{distance:g}" for distance in distances)
