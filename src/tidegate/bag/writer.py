# SPDX-License-Identifier: Apache-2.0
"""Write a bag as ``ros2 bag record --storage mcap`` does, such that an interruption costs a fraction of a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from mcap.writer import Writer

from tidegate.bag.typestore import definition, make, serialise
from tidegate.errors import BagError
from tidegate.messages import TOPICS, encode

CHUNK_BYTES = 65536
"""A chunk reaches the disk once it is this large: about two camera images, 0.1 s of the whole graph."""
CONTRACT = "tidegate"
"""Name of the MCAP metadata record that carries the contract."""


@dataclass(slots=True)
class _Channel:
    """A topic being recorded: identifier in the file, ROS type and messages so far."""

    number: int
    type: str
    count: int = 0


class BagWriter:
    """A bag folder ``path`` with one MCAP file, zstd chunks, and ``metadata.yaml`` at the end.

    Use it as a context manager. Leaving it by an exception closes the bag too: what was recorded stays.
    """

    def __init__(self, path: str | Path, contract: Mapping[str, str] | None = None) -> None:
        """Create the folder.

        Args:
            path: of the folder.
            contract: text by name, which travels in the bag: as a metadata record at the beginning of its file, so that
                an interrupted recording has it too, and as ``custom_data`` of ``metadata.yaml``.

        Raises:
            BagError: it exists already, or cannot be made.
        """
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True)
        except FileExistsError as error:
            raise BagError(f"{path}: exists already; a recording never overwrites one") from error
        except OSError as error:
            raise BagError(f"{path}: cannot be made ({error.strerror or error})") from error
        self._file = self.path / f"{self.path.name}.mcap"
        self._stream = self._file.open("xb")
        self._writer = Writer(self._stream, chunk_size=CHUNK_BYTES)
        self._writer.start(profile="ros2", library="tidegate")
        self._contract = dict(contract or {})
        if self._contract:
            self._writer.add_metadata(CONTRACT, self._contract)
            self._stream.flush()
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, _Channel] = {}
        self._span: tuple[int, int] | None = None

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
        """
        at = record.stamp if received is None else received
        self.write_raw(f"/{topic}", TOPICS[topic].type, serialise(encode(record, make)), at)

    def write_raw(self, topic: str, type_name: str, data: bytes, stamp: int) -> None:
        """Record a serialised message.

        Args:
            topic: absolute name.
            type_name: such as ``sensor_msgs/msg/Image``.
            data: CDR with its 4-byte header.
            stamp: time of receipt [ns].

        Raises:
            BagError: the topic carries another type already, or the type is not known.
        """
        channel = self._channels.get(topic) or self._open(topic, type_name)
        if channel.type != type_name:
            raise BagError(f"{self.path}: topic {topic} is {channel.type}; {type_name} came in")
        self._writer.add_message(channel.number, stamp, data, stamp, channel.count)
        self._stream.flush()
        channel.count += 1
        first, last = self._span or (stamp, stamp)
        self._span = min(first, stamp), max(last, stamp)

    @property
    def counts(self) -> dict[str, int]:
        """Messages so far by topic."""
        return {topic: channel.count for topic, channel in self._channels.items()}

    def close(self) -> None:
        """Write the index and ``metadata.yaml``; a second call does nothing."""
        if self._stream.closed:
            return
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._stream.close()
        text = yaml.safe_dump({"rosbag2_bagfile_information": self._metadata()}, sort_keys=False)
        (self.path / "metadata.yaml").write_text(text, encoding="utf-8")

    def _open(self, topic: str, type_name: str) -> _Channel:
        if type_name not in self._schemas:
            try:
                text, _ = definition(type_name)
            except KeyError as error:
                raise BagError(f"{self.path}: topic {topic} has the unknown type {type_name}") from error
            self._schemas[type_name] = self._writer.register_schema(type_name, "ros2msg", text.encode())
        number = self._writer.register_channel(topic, "cdr", self._schemas[type_name], {"offered_qos_profiles": ""})
        self._channels[topic] = _Channel(number, type_name)
        return self._channels[topic]

    def _metadata(self) -> dict[str, Any]:
        first, last = self._span or (0, 0)
        count = sum(channel.count for channel in self._channels.values())
        span = {
            "duration": {"nanoseconds": last - first},
            "starting_time": {"nanoseconds_since_epoch": first},
            "message_count": count,
        }
        return {
            "version": 9,
            "storage_identifier": "mcap",
            "relative_file_paths": [self._file.name],
            **span,
            "topics_with_message_count": [
                {
                    "topic_metadata": {
                        "name": topic,
                        "type": channel.type,
                        "serialization_format": "cdr",
                        "offered_qos_profiles": [],
                        "type_description_hash": definition(channel.type)[1],
                    },
                    "message_count": channel.count,
                }
                for topic, channel in self._channels.items()
            ],
            "compression_format": "",
            "compression_mode": "",
            "files": [{"path": self._file.name, **span}],
            "custom_data": self._contract or None,
            "ros_distro": "jazzy",
        }
