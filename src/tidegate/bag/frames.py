# SPDX-License-Identifier: Apache-2.0
"""A few of a bag's pictures, without decoding the others."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from tidegate.bag.reader import BagReader
from tidegate.bag.typestore import deserialise
from tidegate.messages import decode, serialised_stamp

CAMERA = "camera/image_raw"


def frames_at(reader: BagReader, stamps: Collection[int]) -> dict[int, NDArray[np.uint8]]:
    """The camera's pictures (H, W, 3) with these stamps [ns]; of two with one stamp the first.

    Raises:
        BagError: the bag has no camera.
    """
    wanted, found = set(stamps), dict[int, NDArray[np.uint8]]()
    for _, kind, _, data in reader.raw([reader.find(CAMERA)]):
        stamp = serialised_stamp(data)
        if stamp in wanted and stamp not in found:
            found[stamp] = decode(CAMERA, deserialise(data, kind)).image
            if len(found) == len(wanted):
                break
    return found
