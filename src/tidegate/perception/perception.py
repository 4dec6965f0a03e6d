# SPDX-License-Identifier: Apache-2.0
"""Camera frame → features, lane estimate and health, as it runs on the robot."""

from __future__ import annotations

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError, ImageError
from tidegate.perception.health import HealthMonitor, Training
from tidegate.perception.image import check_size, crop_rows, normalise, shrink
from tidegate.perception.lane import error_scale, lane_estimate, unknown_lane
from tidegate.perception.layout import CONVS
from tidegate.perception.saliency import visual_backprop
from tidegate.records import Features, Frame, ImageHealth, Level, Percept
from tidegate.settings import Settings

OUTPUTS = ["features", "lane", "lane_scale", "signature"]
MAPS = [f"map{index}" for index in range(len(CONVS))]


class Perception:
    """The backbone of a bundle under onnxruntime, on one thread, and the watch over its images."""

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        """Take the network and its input from ``bundle``, camera and health thresholds from ``settings``.

        Raises:
            BundleError: the backbone is no model that can be run, or does not fit the bundle's settings.
        """
        self._shape = bundle.perception
        self._camera = settings.camera
        self._conformal = bundle.conformal
        training = None
        if bundle.outlier_distance > 0:
            known = bundle.part("outlier")
            if not {"mean", "whiten"} <= known.keys():
                raise BundleError(f"bundle '{bundle.name}': lacks outlier.mean or outlier.whiten")
            training = Training(known["mean"], known["whiten"], bundle.outlier_distance)
        self._health = HealthMonitor(settings.perception, training)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.enable_cpu_mem_arena = False
        self._partial = onnxruntime.RunOptions()
        self._partial.only_execute_path_to_fetches = True
        size = (self._shape.input_height, self._shape.input_width)
        try:
            self._session = onnxruntime.InferenceSession(bundle.backbone, options, providers=["CPUExecutionProvider"])
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

    def process(self, frame: Frame) -> Percept:
        """Read one frame; a frame that cannot be used gives health ERROR, an unknown lane and features of NaN."""
        try:
            check_size(frame.image, self._camera)
            small = shrink(frame.image, self._shape)
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
        """What the backbone looks at, (H, W) of the frame in [0, 1]; zero where the image is cropped.

        Raises:
            ImageError: the frame cannot be used.
        """
        check_size(frame.image, self._camera)
        maps = self._run(normalise(shrink(frame.image, self._shape)), MAPS)
        salient = visual_backprop(maps, (self._shape.input_height, self._shape.input_width))
        height, width = frame.image.shape[:2]
        top, bottom = crop_rows(height, self._shape)
        placed = np.zeros((height, width), np.float32)
        placed[top:bottom] = cv2.resize(salient, (width, bottom - top), interpolation=cv2.INTER_LINEAR)
        return placed

    def _run(self, image: NDArray[np.float32], outputs: list[str]) -> list[NDArray[np.float32]]:
        found = self._session.run(outputs, {"image": image[None]}, self._partial)
        return [array[0, 0] if array.ndim == 4 else array[0] for array in found]
