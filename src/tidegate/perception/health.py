# SPDX-License-Identifier: Apache-2.0
"""Whether a frame can be trusted: exposure, contrast, a frozen camera, and a look unlike that of training."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats, ImageHealth, Level
from tidegate.settings.perception import PerceptionSettings

REMEMBERED = 8
"""Different images that a frozen camera may send by turns: a driver that hangs may go round its buffers."""


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Signatures of the training images: ``mean`` (S,), ``whiten`` (S, S), the ``distance`` that few of them exceed."""

    mean: Floats
    whiten: Floats
    distance: float

    @classmethod
    def of(cls, signatures: NDArray[Any], quantile: float = 0.999) -> Training:
        """Describe training signatures (M, S), see ``Backbone.signature``, by mean and covariance (Lee et al. 2018).

        The covariance is shrunk a little towards the sphere, so that a direction in which they hardly vary
        does not turn a small change into a large distance.
        """
        values = signatures.astype(np.float64)
        mean = values.mean(axis=0)
        covariance = np.atleast_2d(np.cov(values, rowvar=False))
        size = len(covariance)
        covariance += (1e-3 * np.trace(covariance) / size + 1e-12) * np.eye(size)
        whiten = np.linalg.inv(np.linalg.cholesky(covariance))
        found = cls(mean, whiten, 0.0)
        return cls(mean, whiten, float(np.quantile([found.mahalanobis(value) for value in values], quantile)))

    def mahalanobis(self, signature: NDArray[Any]) -> float:
        """Distance of ``signature`` (S,) from the mean, in standard deviations of their own direction."""
        return float(np.linalg.norm(self.whiten @ (signature - self.mean)))


def saturated_share(small: NDArray[np.uint8], level: int) -> float:
    """Share of the pixels of ``small`` (h, w, 3) of which a channel reaches ``level``."""
    red, green, blue = cv2.split(small)
    brightest = cv2.max(cv2.max(red, green), blue)
    return float(np.count_nonzero(brightest >= level) / brightest.size)


class HealthMonitor:
    """Judges frame after frame; remembers how often the image stayed the same and how often it was an outlier."""

    def __init__(self, settings: PerceptionSettings, training: Training | None) -> None:
        self._settings = settings
        self._training = training
        self._recent: deque[bytes] = deque(maxlen=REMEMBERED)
        self._same = 1
        self._outlier = False
        self._contrary = 0

    def judge(
        self, stamp: int, small: NDArray[np.uint8], features: NDArray[Any], signature: NDArray[Any]
    ) -> ImageHealth:
        """Health of one frame.

        Args:
            stamp: of the frame [ns].
            small: (h, w, 3) uint8, what the network sees.
            features: (F,), what it made of it.
            signature: (S,), how the image looks to its first layers.
        """
        settings = self._settings
        saturated = saturated_share(small, settings.saturated_level)
        mean, contrast = (value.item() for value in cv2.meanStdDev(small.reshape(-1, 1)))
        values = {"saturated_share": saturated, "mean": mean, "contrast": contrast}
        reasons = []
        if saturated >= settings.saturated_share:
            reasons.append(f"over-exposed: {saturated:.0%} of the pixels are saturated")
        if mean < settings.black_level:
            reasons.append(f"black: mean {mean:.1f} of 255")
        elif contrast < settings.contrast_min:
            reasons.append(f"no contrast: standard deviation {contrast:.1f} of 255")
        picture = small.tobytes()
        if picture in self._recent:
            self._same += 1
        else:
            self._same = 1
            self._recent.append(picture)
        values["same_frames"] = float(self._same)
        if self._same >= settings.frozen_frames:
            reasons.append(f"frozen: {self._same} images in a row as they were before")
        if not np.isfinite(features).all():
            reasons.append("features are not finite")
        elif self._training is not None:
            distance = self._training.mahalanobis(signature) / self._training.distance
            values["outlier_distance"] = distance
            if self._is_outlier(distance):
                reasons.append(f"out of distribution: {distance:.1f} times as far as the training images")
        return ImageHealth(stamp, Level.ERROR if reasons else Level.OK, tuple(reasons), values)

    def _is_outlier(self, distance: float) -> bool:
        """With hysteresis: the verdict turns after ``outlier_frames`` frames in a row that contradict it."""
        contrary = (not distance <= self._settings.outlier_factor) != self._outlier  # NaN is far from everything
        self._contrary = self._contrary + 1 if contrary else 0
        if self._contrary >= self._settings.outlier_frames:
            self._outlier, self._contrary = not self._outlier, 0
        return self._outlier
