# SPDX-License-Identifier: Apache-2.0
"""The file under an MCAP writer: it only ever holds whole records, on a full disk too."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class Sink:
    """Unbuffered: what was written survives the process. A write that fails is taken back and raises OSError."""

    def __init__(self, path: Path) -> None:
        """Make the file.

        Raises:
            OSError: it exists, or cannot be made.
        """
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._size = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        """Append ``data``, all of it or nothing.

        Raises:
            OSError: the disk is full, or another fault of the file system.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            self.truncate(self._size)
            raise
        self._size += len(data)
        return len(data)

    def truncate(self, size: int) -> None:
        """Take back what lies beyond ``size`` [B]."""
        self._size = size
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, size)
            os.lseek(self._file, size, os.SEEK_SET)

    def tell(self) -> int:
        """Size so far [B]."""
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""

    def sync(self) -> None:
        """Have it put on the disk, so that it survives a power cut.

        Raises:
            OSError: it could not be.
        """
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file; a second call does nothing.

        Raises:
            OSError: a network's file system tells of a failed write only now.
        """
        if not self.closed:
            self.closed = True
            os.close(self._file)
