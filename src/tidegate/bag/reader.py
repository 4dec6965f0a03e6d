# SPDX-License-Identifier: Apache-2.0
"""Read rosbag2 bags, MCAP or SQLite; an interrupted recording is read up to the interruption."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader

from tidegate.bag.salvage import Raw, notes, salvage
from tidegate.bag.typestore import deserialise
from tidegate.errors import BagError, ImageError, MessageError
from tidegate.messages import TOPICS, decode
from tidegate.security.parse import check_yaml, read_bounded, read_yaml

METADATA = "metadata.yaml"
LARGEST_METADATA = 1 << 22
"""Bytes; a recording of an hour has a few thousand."""
REPEATS = 10_000
"""Values that aliases of the metadata may stand for; writers in Python make some."""


class BagReader:
    """A bag: the folder that ``ros2 bag record`` makes, or one of its files.

    Attributes:
        topics: ROS type by absolute topic name.
        counts: messages by absolute topic name.
        definitions: text of the message definition by ROS type, as far as the bag carries them.
        files: the MCAP or SQLite files, in the order in which they were written.
        interrupted: the recording was cut off; what came before the cut can be read.
    """

    def __init__(self, path: str | Path) -> None:
        """Look into the bag.

        Raises:
            BagError: no such bag, unreadable, or cut off before the first message.
        """
        self.path = Path(path)
        if not self.path.exists():
            raise BagError(f"{path}: no such bag")
        self.interrupted = False
        self.definitions: dict[str, str] = {}
        self.files = self._storage()
        whole = self.path.is_dir() and (self.path / METADATA).exists()
        self._source = self.path if whole else self.files[0]
        if len(self.files) > 1 and not whole:  # cut off after a split: only the folder's own table names the files
            self._salvage(f"no {METADATA}")
            return
        try:
            if whole:
                check_yaml(read_bounded(self.path / METADATA, LARGEST_METADATA).decode("utf-8"), REPEATS)
            with Reader(self._source) as reader:
                self.topics = {connection.topic: connection.msgtype for connection in reader.connections}
                self.counts = {topic: info.msgcount for topic, info in reader.topics.items()}
                for connection in reader.connections:
                    if connection.msgdef.format == MessageDefinitionFormat.MSG:
                        self.definitions[connection.msgtype] = connection.msgdef.data
        except Exception as error:  # rosbags passes on whatever its storage raises, SQLite's by its binding
            self._salvage(error)

    @property
    def storage(self) -> str:
        """``mcap`` or ``sqlite3``."""
        return "sqlite3" if self.files[0].suffix == ".db3" else "mcap"

    @property
    def indexed(self) -> bool:
        """Whether the folder has its ``metadata.yaml``, which a recorder writes at its end."""
        return (self.path if self.path.is_dir() else self.path.parent).joinpath(METADATA).exists()

    def carried(self) -> dict[str, dict[str, str]]:
        """What travels in the bag beside its messages, by name: ``custom_data`` of ``metadata.yaml``, MCAP metadata
        records and attachments."""
        found: dict[str, dict[str, str]] = {}
        for file in self.files:
            if file.suffix == ".mcap":
                found |= notes(file)
        try:
            custom = read_yaml(self.path / METADATA, REPEATS)["rosbag2_bagfile_information"].get("custom_data")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            custom = None
        if isinstance(custom, dict) and custom:
            found["custom_data"] = {str(key): str(value) for key, value in custom.items()}
        return found

    def _storage(self) -> list[Path]:
        """The files of the bag.

        Raises:
            BagError: there is none.
        """
        if not self.path.is_dir():
            return [self.path]
        found = [*self.path.glob("*.mcap"), *self.path.glob("*.db3")]
        if not found:
            raise BagError(f"{self.path}: is no bag (it holds neither .mcap nor .db3)")
        return sorted(found, key=lambda file: (len(file.name), file.name))  # _2 comes before _10

    def _salvage(self, cause: Exception | str) -> None:
        """Take what broken files still hold.

        Raises:
            BagError: nothing.
        """
        self.topics, self.counts, self.interrupted = {}, {}, True
        for topic, type_name, _, _ in self._salvaged():
            self.topics[topic] = type_name
            self.counts[topic] = self.counts.get(topic, 0) + 1
        if not self.topics:
            raise BagError(f"{self.path}: is cut off or corrupt, no message can be read ({cause})")

    def _salvaged(self) -> Iterator[Raw]:
        for file in self.files:
            yield from salvage(file, self.definitions)

    def find(self, topic: str) -> str:
        """Absolute name of the relative ``topic``, in whatever namespace it was recorded.

        Raises:
            BagError: the bag lacks it, has it more than once, or with another type or without a message.
        """
        found = [name for name in self.topics if relative(name) == topic]
        held = ", ".join(sorted(self.topics)) or "none"
        if not found:
            what = "camera images, topic" if topic == "camera/image_raw" else "topic"
            raise BagError(f"{self.path}: has no {what} '{topic}'; its topics: {held}")
        if len(found) > 1:
            raise BagError(f"{self.path}: has '{topic}' more than once: {', '.join(sorted(found))}")
        if self.topics[found[0]] != TOPICS[topic].type:
            raise BagError(f"{self.path}: {found[0]} is {self.topics[found[0]]}; it must be {TOPICS[topic].type}")
        if self.counts[found[0]] == 0:
            raise BagError(f"{self.path}: {found[0]} has no messages")
        return found[0]

    def messages(self, topics: Sequence[str]) -> Iterator[tuple[str, int, Any]]:
        """Records on the relative ``topics`` as (relative topic, time of receipt [ns], record), in order of receipt.

        Raises:
            BagError: a topic is missing, or a message cannot be decoded.
        """
        wanted = {self.find(topic): topic for topic in topics}
        for name, type_name, received, data in self.raw(wanted):
            topic = wanted[name]
            try:
                record = decode(topic, deserialise(data, type_name))
            except (ImageError, MessageError) as error:
                raise BagError(f"{self.path}: {name} at {received} ns: {error}") from error
            except Exception as error:  # rosbags has no error class of its own for bytes that are no such message
                raise BagError(f"{self.path}: {name} at {received} ns is corrupt ({error!r})") from error
            yield topic, received, record

    def raw(self, names: Collection[str]) -> Iterator[Raw]:
        """Serialised messages on the absolute topic ``names``, in order of receipt.

        Raises:
            BagError: the bag is corrupt.
        """
        if self.interrupted:
            yield from (item for item in self._salvaged() if item[0] in names)
            return
        try:
            with Reader(self._source) as reader:
                chosen = [connection for connection in reader.connections if connection.topic in names]
                if not chosen:
                    return
                for connection, received, data in reader.messages(chosen):
                    yield connection.topic, connection.msgtype, received, bytes(data)
        except Exception as error:  # as above
            raise BagError(f"{self.path}: is corrupt ({error})") from error


def relative(name: str) -> str:
    """Topic of the contract that the absolute ``name`` stands for, the longest that fits; empty = none.

    ``/car/expert/nominal`` is ``expert/nominal``, not the ``nominal`` of a namespace ``/car/expert``.
    """
    return max((topic for topic in TOPICS if f"/{name}".endswith(f"/{topic}")), key=len, default="")
