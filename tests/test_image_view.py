# SPDX-License-Identifier: Apache-2.0
"""Images seen in their serialised form: what rclpy reads there, or a clear refusal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import MessageError
from tidegate.messages import stamp_of
from tidegate.messages.camera import decode_frame
from tidegate.messages.image_view import view_compressed, view_image

pytest.importorskip("rclpy")
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

FIELDS = ("height", "width", "encoding", "step")
WORDS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=9)


@st.composite
def messages(draw: st.DrawFn) -> Image:
    message = Image()
    message.header.stamp.sec = draw(st.integers(-(2**31), 2**31 - 1))
    message.header.stamp.nanosec = draw(st.integers(0, 10**9 - 1))
    message.header.frame_id, message.encoding = draw(WORDS), draw(st.sampled_from(["rgb8", "bgr8"]) | WORDS)
    message.height, message.width = (draw(st.integers(0, 6)) for _ in range(2))
    message.step = 3 * message.width + draw(st.integers(0, 2))
    message.is_bigendian = draw(st.integers(0, 1))
    size = message.height * message.step + draw(st.sampled_from([0, 0, 0, 1]))
    message.data = draw(st.binary(min_size=size, max_size=size))
    return message


def big_endian(message: Image) -> bytes:
    """The same by hand, in the other order of bytes."""

    def text(value: str) -> bytes:
        raw = value.encode() + b"\x00"
        return len(raw).to_bytes(4, "big") + raw

    def aligned(part: bytes) -> bytes:
        return part + bytes(-len(part) % 4)

    stamp = message.header.stamp
    made = stamp.sec.to_bytes(4, "big", signed=True) + stamp.nanosec.to_bytes(4, "big")
    made = aligned(made + text(message.header.frame_id))
    made += message.height.to_bytes(4, "big") + message.width.to_bytes(4, "big") + text(message.encoding)
    made = aligned(made + bytes([message.is_bigendian])) + message.step.to_bytes(4, "big")
    return b"\x00\x00\x00\x00" + made + len(message.data).to_bytes(4, "big") + bytes(message.data)


@settings(max_examples=200, deadline=None)
@given(messages())
def test_it_sees_what_rclpy_reads_in_either_order_of_bytes(message: Image) -> None:
    for data in (serialize_message(message), big_endian(message)):
        read, seen = deserialize_message(data, Image), view_image(data)
        assert {name: getattr(seen, name) for name in FIELDS} == {name: getattr(read, name) for name in FIELDS}
        assert seen.header.frame_id == read.header.frame_id
        assert stamp_of(seen) == stamp_of(read)
        assert seen.data.tobytes() == bytes(read.data)
        if seen.encoding == "rgb8" and len(seen.data) == seen.height * seen.step and seen.data.size and seen.width:
            np.testing.assert_array_equal(decode_frame(seen).image, decode_frame(read).image)


@settings(max_examples=300, deadline=None)
@given(messages(), st.data())
def test_bytes_that_are_cut_or_changed_are_read_as_rclpy_does_or_refused(message: Image, data: st.DataObject) -> None:
    raw = bytearray(serialize_message(message))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        seen = view_image(cut)
    except MessageError:
        return
    try:
        read = deserialize_message(cut, Image)
    except (RuntimeError, UnicodeDecodeError):  # it asks more of a text, or for padding at the end
        return
    assert {name: getattr(seen, name) for name in FIELDS} == {name: getattr(read, name) for name in FIELDS}
    assert seen.data.tobytes() == bytes(read.data)


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 11, 20, -1])
def test_a_message_that_ends_early_is_refused(cut: int) -> None:
    message = Image(height=2, width=2, step=6, encoding="rgb8", data=bytes(12))
    with pytest.raises(MessageError, match="image"):
        view_image(serialize_message(message)[:cut])


def test_no_pixel_is_copied() -> None:
    data = serialize_message(Image(height=2, width=2, step=6, encoding="rgb8", data=bytes(range(12))))
    image = decode_frame(view_image(data)).image
    assert np.shares_memory(image, np.frombuffer(data, np.uint8))
    assert not image.flags.writeable


@settings(max_examples=300, deadline=None)
@given(WORDS, WORDS, st.binary(max_size=20), st.integers(0, 10**9 - 1), st.data())
def test_compressed_ones_are_seen_as_rclpy_reads_them_or_refused(
    frame: str, form: str, data: bytes, nanosec: int, drawn: st.DataObject
) -> None:
    """Whole, and cut or changed."""
    message = CompressedImage(format=form, data=data)
    message.header.frame_id, message.header.stamp.nanosec = frame, nanosec
    whole = serialize_message(message)
    seen = view_compressed(whole)
    assert (seen.header.frame_id, seen.format, seen.data.tobytes()) == (frame, form, data)
    assert stamp_of(seen) == stamp_of(message)
    raw = bytearray(whole)
    raw[drawn.draw(st.integers(0, len(raw) - 1))] = drawn.draw(st.integers(0, 255))
    cut = bytes(raw[: drawn.draw(st.integers(0, len(raw)))])
    try:
        seen = view_compressed(cut)
    except MessageError:
        return
    try:
        read = deserialize_message(cut, CompressedImage)
    except (RuntimeError, UnicodeDecodeError):  # it asks more of a text, or for padding at the end
        return
    assert (seen.header.frame_id, seen.format) == (read.header.frame_id, read.format)
    assert seen.data.tobytes() == bytes(read.data)
