# SPDX-License-Identifier: Apache-2.0
"""Small faults in real files, the same for the same seed."""

from __future__ import annotations

import random
import struct

TOKENS = (
    b"\x00", b"\xff" * 8, b"-1", b"0", b"1e999", b"nan", b".inf", b"9" * 400, b"9" * 5000, b"0x" + b"f" * 5000,
    b"null", b"true", b"[]", b"{}", b'""', b"'", b'"', b"\n", b"\t", b"  ", b": ", b"- ", b"&a ", b"*a", b"<<: *a",
    b"!!python/object:os.system ", b"!!int x", b"!!float x", b"!!timestamp x", b"!!bool x", b"!!binary x",
    b"[" * 2000, b"{" * 2000, b'{"a":' * 2000, b"<a>" * 5000, b"<", b"/>", b"&lt;", b"&x;", b"<!DOCTYPE r>",
    b"2001-99-99", b"${1/0}", b"${''}", b"$(find x)", b"../../../etc/passwd", b"\xc3\x28", b"\xef\xbb\xbf",
    "😀".encode(),
)  # fmt: skip
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)


def mutate(data: bytes, seed: int) -> bytes:
    """One to four faults: bits, lengths, tokens, cuts, repetitions."""
    chance = random.Random(seed)
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(made) + 1)
        # headers and tables lie at the ends of a file
        if chance.random() < 0.5:
            at = min(at, chance.randrange(200))
        size = chance.choice((1, 4, 8, 50))
        kind = chance.randrange(7)
        if kind == 0 and at < len(made):
            made[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            number = chance.choice(NUMBERS)
            width = chance.choice(("<H", "<I", "<Q"))
            packed = struct.pack(width, number & (256 ** struct.calcsize(width) - 1))
            made[at : at + len(packed)] = packed
        elif kind == 2:
            made[at:at] = chance.choice(TOKENS)
        elif kind == 3:
            made[at : at + size] = chance.choice(TOKENS)
        elif kind == 4:
            del made[at : at + chance.choice((1, 10, 100, len(made)))]
        elif kind == 5:
            made[at:at] = made[at : at + chance.choice((10, 100, 1000))]
        else:
            made[at : at + size] = chance.randbytes(size)
    return bytes(made)
