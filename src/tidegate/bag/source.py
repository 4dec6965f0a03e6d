# SPDX-License-Identifier: Apache-2.0
"""One file of a bag: read by its index while that is whole, else what can be saved of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader

from tidegate.bag.salvage import Noted, Raw, salvage


class Source:
    """A file, or a folder whose messages are compressed one by one.

    Attributes:
        topics: ROS type by absolute topic name.
        counts: messages by absolute topic name.
        definitions: text of the message definition by ROS type, as far as it carries them.
        broken: why it has no usable index; empty = it has one.
    """

    def __init__(self, path: Path, noted: Noted) -> None:
        """Look into the file; ``noted`` hears what is wrong with it, now and while it is read."""
        self.path, self._noted = path, noted
        self.topics: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.definitions: dict[str, str] = {}
        self.broken = ""
        try:
            with Reader(path) as reader:
                self.topics = {connection.topic: connection.msgtype for connection in reader.connections}
                self.counts.update({topic: info.msgcount for topic, info in reader.topics.items()})
                for connection in reader.connections:
                    if connection.msgdef.format == MessageDefinitionFormat.MSG:
                        self.definitions[connection.msgtype] = connection.msgdef.data
        except Exception as error:  # rosbags passes on whatever its storage raises, SQLite's by its binding
            self.broken = str(error) or type(error).__name__
            for topic, type_name, _, _ in self._salvaged():
                self.topics[topic] = type_name
                self.counts[topic] += 1

    def raw(self, names: Collection[str]) -> Iterator[Raw]:
        """Serialised messages on the absolute topic ``names``, in order of receipt; damaged parts are left out."""
        done: Counter[str] = Counter()
        if not self.broken:
            try:
                with Reader(self.path) as reader:
                    chosen = [connection for connection in reader.connections if connection.topic in names]
                    for connection, received, data in reader.messages(chosen) if chosen else ():
                        done[connection.topic] += 1
                        yield connection.topic, connection.msgtype, received, bytes(data)
                return
            except Exception as error:  # as above
                self._noted(f"{self.path.name}: is damaged ({error})")
        for item in self._salvaged():
            if item[0] not in names:
                continue
            if done[item[0]] > 0:  # handed out before the damage was met
                done[item[0]] -= 1
            else:
                yield item

    def _salvaged(self) -> Iterator[Raw]:
        return iter(()) if self.path.is_dir() else salvage(self.path, self.definitions, self._noted)
