# SPDX-License-Identifier: Apache-2.0
"""Write a bag as ``ros2 bag record --storage mcap`` does, such that an interruption costs a fraction of a second."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from tidegate.bag.mcap_file import Channel, McapFile, Quality, Span
from tidegate.bag.typestore import definition, make, serialise
from tidegate.errors import BagError
from tidegate.messages import TOPICS, encode
from tidegate.records import nanoseconds

BY_TIME = "bags"
"""Folder of recordings that are named by the time alone."""


def folder_named(text: str) -> Path | None:
    """The folder that an option asks for: ``true`` = one named by the time (UTC) in ``BY_TIME``; none where it is empty
    or ``false``."""
    if text.lower() in ("", "false"):
        return None
    return Path(BY_TIME, f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}") if text.lower() == "true" else Path(text)


class BagWriter:
    """A bag folder ``path`` with MCAP files ``<name>_0.mcap`` and so on, zstd chunks, and ``metadata.yaml`` at the end.

    Use it as a context manager. Leaving it by an exception closes the bag too: what was recorded stays, and so it does
    where a write fails, as on a full disk.
    """

    def __init__(
        self,
        path: str | Path,
        contract: Mapping[str, str] | None = None,
        *,
        max_size: int = 0,
        max_duration_s: float = 0.0,
        definitions: Mapping[str, str] | None = None,
    ) -> None:
        """Create the folder and its first file.

        Args:
            path: of the folder.
            contract: text by name, which travels in the bag: as a metadata record at the beginning of each file, so
                that an interrupted recording has it too, and as ``custom_data`` of ``metadata.yaml``.
            max_size: a file that is as large [B] is followed by another; 0 = one file.
            max_duration_s: a file whose messages span as long [s] is followed by another; 0 = one file.
            definitions: text of the message definition by ROS type, for types beside those of ROS 2 Jazzy.

        Raises:
            BagError: it exists already, or cannot be made.
        """
        self.path = Path(path)
        self._contract = dict(contract or {})
        self._max_size, self._max_duration = max_size, nanoseconds(max_duration_s)
        self._definitions = dict(definitions or {})
        self._topics: dict[str, Channel] = {}
        self._offered: dict[str, list[Quality]] = {}
        self._span = Span()
        self._files: list[McapFile] = []
        self._failure = ""
        self._closed = False
        try:
            self.path.mkdir(parents=True)
        except FileExistsError as error:
            raise BagError(f"{path}: exists already; a recording never overwrites one") from error
        except OSError as error:
            raise BagError(f"{path}: cannot be made ({error.strerror or error})") from error
        try:
            self._begin_file()
        except OSError as error:
            self.path.rmdir()
            raise BagError(f"{path}: cannot be made ({error.strerror or error})") from error

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, topic: str, record: Any, received: int | None = None) -> None:
        """Record ``record`` on ``topic``, a relative name of ``messages.TOPICS``.

        Args:
            topic: where.
            record: of the class that the topic carries.
            received: time of receipt [ns]; None = the record's own stamp.

        Raises:
            BagError: as ``write_raw``.
        """
        at = record.stamp if received is None else received
        self.write_raw(f"/{topic}", TOPICS[topic].type, serialise(encode(record, make)), at)

    def offer(self, topic: str, qualities: Sequence[Quality]) -> None:
        """Tell what the publishers of the absolute ``topic`` offer, before its first message."""
        self._offered[topic] = list(qualities)

    def write_raw(self, topic: str, type_name: str, data: bytes, stamp: int) -> None:
        """Record a serialised message.

        Args:
            topic: absolute name.
            type_name: such as ``sensor_msgs/msg/Image``.
            data: CDR with its 4-byte header.
            stamp: time of receipt [ns].

        Raises:
            BagError: the topic carries another type already, the type is not known, or the file cannot be written;
                after the last nothing more is taken.
        """
        if self._failure:
            raise BagError(self._failure)
        known = self._topics.get(topic) or self._open(topic, type_name)
        if known.type != type_name:
            raise BagError(f"{self.path}: topic {topic} is {known.type}; {type_name} came in")
        try:
            if self._full(stamp):
                self._files[-1].finish()
                self._begin_file()
            known.count += 1
            self._span.add(stamp)
            self._files[-1].add(known, data, stamp)
        except OSError as error:
            raise self._failed(error) from error

    @property
    def counts(self) -> dict[str, int]:
        """Messages so far by topic."""
        return {name: topic.count for name, topic in self._topics.items()}

    @property
    def size(self) -> int:
        """What its files take so far [B]."""
        return sum(file.size for file in self._files)

    def flush(self) -> None:
        """Put all that was written on the disk: what comes later may be lost with the process, or with the power.

        Raises:
            BagError: the file cannot be written.
        """
        if self._failure or self._closed:
            return
        try:
            self._files[-1].flush()
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Write the index and ``metadata.yaml``, after a failed write as far as there is room; a second call does
        nothing.

        Raises:
            BagError: they cannot be written, and nothing had failed before.
        """
        if self._closed:
            return
        self._closed, failed_before = True, bool(self._failure)
        try:
            self._files[-1].finish()
            self._write_metadata()
        except OSError as error:
            if not failed_before:
                raise self._failed(error) from error

    def _begin_file(self) -> None:
        self._files.append(McapFile(self.path / f"{self.path.name}_{len(self._files)}.mcap", self._contract))

    def _full(self, stamp: int) -> bool:
        file = self._files[-1]
        long = 0 < self._max_duration <= stamp - file.span.first
        return file.span.count > 0 and (long or 0 < self._max_size <= file.size)

    def _failed(self, error: OSError) -> BagError:
        self._failure = f"{self.path}: cannot be written ({error.strerror or error}); what was recorded before is kept"
        return BagError(self._failure)

    def _open(self, topic: str, type_name: str) -> Channel:
        try:
            text, digest = definition(type_name)
        except KeyError as error:
            if type_name not in self._definitions:
                raise BagError(f"{self.path}: topic {topic} has the unknown type {type_name}") from error
            text, digest = self._definitions[type_name], ""
        self._topics[topic] = Channel(topic, type_name, text, digest, self._offered.get(topic, []))
        return self._topics[topic]

    def _write_metadata(self) -> None:
        """Under another name first: a reader meets all of it or nothing."""
        text = yaml.safe_dump({"rosbag2_bagfile_information": self._metadata()}, sort_keys=False, allow_unicode=True)
        begun = self.path / "metadata.yaml.part"
        try:
            begun.write_text(text, encoding="utf-8")
            begun.replace(self.path / "metadata.yaml")
        except OSError:
            with contextlib.suppress(OSError):
                begun.unlink()
            raise

    def _metadata(self) -> dict[str, Any]:
        names = [file.path.name for file in self._files]
        return {
            "version": 9,
            "storage_identifier": "mcap",
            "relative_file_paths": names,
            **self._span.metadata(),
            "topics_with_message_count": [
                {
                    "topic_metadata": {
                        "name": name,
                        "type": topic.type,
                        "serialization_format": "cdr",
                        "offered_qos_profiles": [dict(quality) for quality in topic.offered],
                        "type_description_hash": topic.digest,
                    },
                    "message_count": topic.count,
                }
                for name, topic in self._topics.items()
            ],
            "compression_format": "",
            "compression_mode": "",
            "files": [{"path": name, **file.span.metadata()} for name, file in zip(names, self._files, strict=True)],
            "custom_data": self._contract or None,
            "ros_distro": "jazzy",
        }
