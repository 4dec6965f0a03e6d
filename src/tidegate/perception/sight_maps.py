# SPDX-License-Identifier: Apache-2.0
"""Where an arm's sight looks: VisualBackProp on the convolutions of its bundle, for who looks into it offline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError, DependencyError
from tidegate.perception.image import normalise
from tidegate.perception.layout import PLACE_CONVS
from tidegate.perception.saliency import visual_backprop
from tidegate.perception.session import Session

try:
    import onnx
    from onnx import TensorProto, helper
except ImportError as error:
    raise DependencyError(f"saliency: no onnx ({error}); install it with 'pip install tidegate[insight]'") from error

LAST = len(PLACE_CONVS) - 1
MAPS = [f"map{index}" for index in range(LAST)]
SHARE = "map_share"


class SightMaps:
    """The sight of an arm's bundle with its maps laid open.

    Its head reads the last maps by a softmax over each, that is by where they are strong. So the mean of these shares
    over the channels stands where the car's backbone has the mean of its last ReLU.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Raises:
        BundleError: its network is not laid out as ``places_export`` does it.
        """
        height, width = self._size = bundle.perception.input_height, bundle.perception.input_width
        for conv in PLACE_CONVS:
            height, width = conv.size(height), conv.size(width)
        self._grid = height, width
        try:
            self._session = Session(_with_maps(bundle.backbone))
            self(np.zeros((*self._size, 3), np.uint8))
        except Exception as error:  # onnx and onnxruntime raise classes of their own, without a common base
            raise BundleError(f"bundle '{bundle.name}': the maps of its sight cannot be had ({error})") from error

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What is looked at in ``image`` (h, w, 3) of the network's size, (h, w) in [0, 1]."""
        *maps, share = self._session(normalise(image), [*MAPS, SHARE])
        return visual_backprop([*maps, share.reshape(self._grid)], self._size, PLACE_CONVS)


def _with_maps(model: bytes) -> bytes:
    """``model`` with the means over channels of its ReLUs, and of the shares of its last maps, as outputs."""
    made = onnx.load_from_string(model)
    for source, name in (*((f"relu{index}", MAPS[index]) for index in range(LAST)), ("share", SHARE)):
        made.graph.node.append(helper.make_node("ReduceMean", [source], [name], axes=[1], keepdims=1))
        made.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return bytes(made.SerializeToString())
