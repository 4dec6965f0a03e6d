# SPDX-License-Identifier: Apache-2.0
"""Rosbags in and out: the only home of rosbag2's files, as MCAP (read and written) or SQLite (read)."""

from tidegate.bag.align import Drive, align, labelled, tells_of_lane
from tidegate.bag.background import BackgroundWriter
from tidegate.bag.files import bag_hash, bags_in, is_bag, kept_drive
from tidegate.bag.frames import frames_at
from tidegate.bag.reader import BagReader, remappings
from tidegate.bag.rescue import rescue
from tidegate.bag.snapshots import Snapshots
from tidegate.bag.summary import BagSummary, TopicSummary, summarise
from tidegate.bag.timing import Spread, Timing, measure
from tidegate.bag.writer import BagWriter, folder_named

__all__ = [
    "BackgroundWriter",
    "BagReader",
    "BagSummary",
    "BagWriter",
    "Drive",
    "Snapshots",
    "Spread",
    "Timing",
    "TopicSummary",
    "align",
    "bag_hash",
    "bags_in",
    "folder_named",
    "frames_at",
    "is_bag",
    "kept_drive",
    "labelled",
    "measure",
    "remappings",
    "rescue",
    "summarise",
    "tells_of_lane",
]
