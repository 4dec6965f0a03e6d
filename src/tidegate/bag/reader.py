# SPDX-License-Identifier: Apache-2.0
"""Read rosbag2 bags, MCAP or SQLite; an interrupted recording is read up to the interruption."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any

from tidegate.bag.mcap_file import CONTRACT
from tidegate.bag.mcap_source import McapSource, notes
from tidegate.bag.source import Raw, expanded
from tidegate.bag.sqlite_source import SqliteSource
from tidegate.bag.typestore import deserialise
from tidegate.errors import BagError, ImageError, MessageError, SettingsError
from tidegate.messages import COMPRESSED, SUFFIX, TOPICS, decode
from tidegate.security.parse import read_yaml

METADATA = "metadata.yaml"
LARGEST_METADATA = 1 << 22
"""Bytes; a recording of an hour has a few thousand."""
REPEATS = 10_000
"""Values that aliases of the metadata may stand for; writers in Python make some."""
AS_IT_IS: Mapping[str, str] = MappingProxyType({})


class BagReader:
    """A bag: the folder that ``ros2 bag record`` makes, or one of its files.

    What the files say counts, whatever ``metadata.yaml`` says of them. Images may be compressed, on their topic or on
    the one that ``image_transport`` makes of it.

    Attributes:
        topics: ROS type by absolute topic name.
        counts: messages by absolute topic name.
        definitions: text of the message definition by ROS type, as far as the bag carries them.
        files: the MCAP or SQLite files, in the order in which they were written.
        interrupted: the recording was cut off; what came before the cut can be read.
        problems: what is wrong with the bag, a line each; what is read may add to it.
    """

    def __init__(self, path: str | Path, remap: Mapping[str, str] = AS_IT_IS) -> None:
        """Look into the bag.

        Args:
            path: of the bag.
            remap: relative topic of ``messages.TOPICS`` by the absolute name that it has in a bag of another robot, as
                ``remappings`` makes it.

        Raises:
            BagError: no such bag, unreadable, or cut off before the first message; no topic of a name that is remapped.
        """
        self.path = Path(path)
        self._remap = dict(remap)
        if not self.path.exists():
            raise BagError(f"{path}: no such bag")
        self.problems: list[str] = []
        self.files = self._storage()
        self._index = self._metadata()
        self._expands = str(self._index.get("compression_mode")).lower() == "message"
        try:
            self._sources = [
                (SqliteSource if file.suffix == ".db3" else McapSource)(file, self._note) for file in self.files
            ]
        except OSError as error:
            raise BagError(f"{error.filename or self.path}: cannot be read ({error.strerror or error})") from error
        self.interrupted = False
        self.topics: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.definitions: dict[str, str] = {}
        for source in self._sources:
            self.topics |= source.topics
            self.definitions |= source.definitions
            for topic, count in source.counts.items():
                self.counts[topic] = self.counts.get(topic, 0) + count
            if source.broken:
                self.interrupted = True
                self._note(f"{source.path.name}: is cut off or corrupt ({source.broken})")
        if self.interrupted and not self.topics:
            raise BagError(f"{self.path}: is cut off or corrupt, no message can be read ({self._sources[0].broken})")
        self._check_index()
        if absent := [name for name in remap if name not in self.topics]:
            raise BagError(f"{self.path}: has no topic '{absent[0]}' to remap; its topics: {self._told()}")

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
        if custom := self._custom_data():
            found["custom_data"] = custom
        return found

    def contract(self) -> dict[str, str]:
        """What the bag says of the robot that recorded it, as ``BagWriter`` was told; empty = nothing."""
        mcap = (notes(file, head=True) for file in self.files if file.suffix == ".mcap")
        held = next((found[CONTRACT] for found in mcap if CONTRACT in found), None)
        return self._custom_data() if held is None else held

    def _custom_data(self) -> dict[str, str]:
        custom = self._index.get("custom_data")
        return {str(key): str(value) for key, value in custom.items()} if isinstance(custom, dict) else {}

    def _metadata(self) -> dict[str, Any]:
        """What ``metadata.yaml`` says; empty where it is absent or says nothing that can be used."""
        if not self.path.is_dir() or not self.indexed:
            return {}
        try:
            found = read_yaml(self.path / METADATA, REPEATS, LARGEST_METADATA)["rosbag2_bagfile_information"]
            if not isinstance(found, dict):
                raise TypeError("it is no mapping")
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._note(f"{METADATA}: cannot be used ({' '.join(str(error).split())}); the files were read without it")
            return {}
        return dict(found)

    def _check_index(self) -> None:
        """Note where ``metadata.yaml`` and the files contradict each other."""
        if not self._index:
            return
        try:
            listed = {PurePath(name).name for name in self._index["relative_file_paths"]}
            count = int(self._index["message_count"])
        except (KeyError, TypeError, ValueError) as error:
            self._note(f"{METADATA}: is incomplete ({error!r}); the files were read without it")
            return
        held = {file.name for file in self.files}
        if absent := sorted(listed - held):
            self._note(f"{METADATA}: names {', '.join(absent)}, which is not there")
        if more := sorted(held - listed):
            self._note(f"{METADATA}: does not name {', '.join(more)}, which was read too")
        if listed == held and not self.interrupted and count != (found := sum(self.counts.values())):
            self._note(f"{METADATA}: tells of {count} messages, the files hold {found}")

    def _note(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

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

    def find(self, topic: str) -> str:
        """Absolute name of the relative ``topic``, in whatever namespace it was recorded.

        Raises:
            BagError: the bag lacks it, has it more than once, or with another type or without a message.
        """
        found = [name for name, other in self._remap.items() if other == topic]
        found = found or [name for name in self.topics if name not in self._remap and relative(name) == topic]
        if not found and topic in COMPRESSED:
            found = [name for name in self.topics if name not in self._remap and relative(name, SUFFIX) == topic]
        if not found:
            what = "camera images, topic" if topic == "camera/image_raw" else "topic"
            raise BagError(f"{self.path}: has no {what} '{topic}'; its topics: {self._told()}")
        if len(found) > 1:
            raise BagError(f"{self.path}: has '{topic}' more than once: {', '.join(sorted(found))}")
        if (kind := self.topics[found[0]]) not in types(topic):
            raise BagError(f"{self.path}: {found[0]} is {kind}; it must be {' or '.join(types(topic))}")
        if self.counts[found[0]] == 0:
            raise BagError(f"{self.path}: {found[0]} has no messages")
        return found[0]

    def held(self, topic: str) -> str | None:
        """As ``find``; None where that raises."""
        try:
            return self.find(topic)
        except BagError:
            return None

    def stands_for(self, name: str) -> str:
        """Topic of the contract that the absolute ``name`` stands for and has the type of; empty = none."""
        topic = self._remap.get(name) or relative(name) or relative(name, SUFFIX)
        return topic if topic and self.topics[name] in types(topic) else ""

    def _told(self) -> str:
        return ", ".join(sorted(self.topics)) or "none"

    def messages(self, topics: Sequence[str], forms: Mapping[str, str] = AS_IT_IS) -> Iterator[tuple[str, int, Any]]:
        """Records on the relative ``topics`` as (relative topic, time of receipt [ns], record), in order of receipt.

        ``forms``: topic → the one as which it is decoded, as ``messages.ARM_FORMS`` has them.

        Raises:
            BagError: a topic is missing, or a message cannot be decoded.
        """
        wanted = {self.find(topic): topic for topic in topics}
        for name, type_name, received, data in self.raw(wanted):
            topic = wanted[name]
            try:
                record = decode(forms.get(topic, topic), deserialise(data, type_name))
            except (ImageError, MessageError) as error:
                raise BagError(f"{self.path}: {name} at {received} ns: {error}") from error
            except Exception as error:  # rosbags has no error class of its own for bytes that are no such message
                raise BagError(f"{self.path}: {name} at {received} ns is corrupt ({error!r})") from error
            yield topic, received, record

    def raw(self, names: Collection[str]) -> Iterator[Raw]:
        """Serialised messages on the absolute topic ``names``, in order of receipt; damaged parts are left out, and
        noted in ``problems``."""
        for source in self._sources:
            items = source.raw(names)
            yield from expanded(items, source.path, self._note) if self._expands else items


def relative(name: str, suffix: str = "") -> str:
    """Topic of the contract that the absolute ``name`` stands for, the longest that fits before ``suffix``; empty =
    none.

    ``/car/expert/nominal`` is ``expert/nominal``, not the ``nominal`` of a namespace ``/car/expert``.
    """
    return max((topic for topic in TOPICS if f"/{name}".endswith(f"/{topic}{suffix}")), key=len, default="")


def types(topic: str) -> tuple[str, ...]:
    """ROS types that a bag may have on ``topic``: its own, and the compressed one."""
    own = TOPICS[topic].type
    return (own, COMPRESSED[topic]) if topic in COMPRESSED else (own,)


def remappings(rules: Iterable[str]) -> dict[str, str]:
    """What ``BagReader`` takes, of rules as ROS writes them: ``/front/image:=camera/image_raw``.

    Raises:
        SettingsError: a rule of another form, to no topic of the contract, or two for one topic.
    """
    found: dict[str, str] = {}
    for rule in rules:
        name, sign, topic = (part.strip() for part in rule.partition(":="))
        topic = topic.strip("/")
        if not (name and sign):
            raise SettingsError(f"remapping '{rule}': must be of the form /front/image:=camera/image_raw")
        if topic not in TOPICS:
            raise SettingsError(f"remapping '{rule}': no topic '{topic}'; there are {', '.join(TOPICS)}")
        if topic in found.values():
            raise SettingsError(f"remapping '{rule}': '{topic}' is remapped already")
        found[f"/{name.strip('/')}"] = topic
    return found
