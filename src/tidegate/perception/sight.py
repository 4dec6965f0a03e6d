# SPDX-License-Identifier: Apache-2.0
"""Picture of an arm's camera → where things are in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError, ImageError
from tidegate.perception.image import check_kind, normalise
from tidegate.perception.session import Session


class Sight:
    """The convolutional network of an arm's bundle. Its pictures are the size that it was trained with."""

    def __init__(self, bundle: Bundle) -> None:
        """Take the network from ``bundle``.

        Raises:
            BundleError: it cannot be run, or does not fit the bundle's settings.
        """
        shape = bundle.perception
        self._size = shape.input_height, shape.input_width
        try:
            self._session = Session(bundle.backbone)
            (features,) = self._session(np.zeros((3, *self._size), np.float32), ["features"])
        except Exception as error:  # onnxruntime raises classes of its own, without a common base
            raise BundleError(f"bundle '{bundle.name}': its backbone cannot be run ({error})") from error
        if features.shape != (shape.features,):
            raise BundleError(f"bundle '{bundle.name}': its backbone gives {features.shape}, not {shape.features}")

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What is seen (8,) in ``image`` (h, w, 3), as ``arm_stack.sight_scale`` lists it.

        Raises:
            ImageError: another size or type.
        """
        check_kind(image)
        if image.shape[:2] != self._size:
            wanted = f"{self._size[1]} × {self._size[0]} px"
            raise ImageError(f"image is {image.shape[1]} × {image.shape[0]} px; the network was trained with {wanted}")
        (features,) = self._session(normalise(image), ["features"])
        return features
