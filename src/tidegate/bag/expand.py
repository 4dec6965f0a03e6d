# SPDX-License-Identifier: Apache-2.0
"""Decompression within bounds: neither what a header promises is believed, nor what follows it."""

from __future__ import annotations

import lz4.frame
import zstandard

LARGEST = 1 << 27
"""Bytes of a chunk, and of a message; an image of 33 million pixels has 100 million."""
GROWTH = 1000
"""Times its own size that all chunks of a file may have, above ``FREE``; lidar and camera images have 1 to 20."""
FREE = 1 << 29


class Allowance:
    """What one pass over a file of so many bytes may have expanded."""

    def __init__(self, size: int) -> None:
        self._left = FREE + GROWTH * size

    def take(self, size: int) -> None:
        """Raises ValueError where less is left."""
        self._left -= size
        if self._left < 0:
            raise ValueError(f"would let the file grow to more than {GROWTH} times its size")


def expand(data: bytes, compression: str, size: int | None = None) -> bytes:
    """What was compressed as ``data``; no more than ``size`` and a little beside it is ever held.

    Args:
        data: as it stands in the file.
        compression: as MCAP calls it: empty, ``lz4`` or ``zstd``.
        size: what the header says that it had; None = zstd, whose frame may say so.

    Raises:
        ValueError: it is larger than the header says or than ``LARGEST``, of another kind, or damaged.
    """
    most = LARGEST if size is None else size
    try:
        if size is None and (told := zstandard.frame_content_size(data)) >= 0:
            most = told
        if most > LARGEST:
            raise ValueError(f"says that it has {most:,} bytes; {LARGEST:,} are allowed")
        if compression == "zstd":
            with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
                made = stream.read(most + 1)
        elif compression == "lz4":
            made = lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=most + 1)
        elif not compression:
            made = data
        else:
            raise ValueError(f"is compressed by '{compression}'; it must be lz4, zstd or not at all")
    except (zstandard.ZstdError, RuntimeError) as error:  # RuntimeError: lz4's own
        raise ValueError(str(error)) from error
    if len(made) > most or (size is not None and len(made) != size):
        raise ValueError(f"has {len(made):,} bytes or more where {most:,} were told")
    return made
