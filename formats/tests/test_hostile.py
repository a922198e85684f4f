"""Damaged files of every format: a reason or a reading, soon, and within little memory.

``make hostile SEEDS=200`` makes more of them than the tests do.
"""

import os
import random
import struct
import time
import tracemalloc

import pytest
from formats.tests.samples import SAMPLES

from nexuslims_formats import read

SEEDS = int(os.environ.get("HOSTILE_SEEDS", "1"))
SECONDS, BYTES = 10.0, 512 << 20
ODD = (float("nan"), float("inf"), -float("inf"), 3e38, -1.0, 1e-40)
BITING = b"\x1b[2J\x1b]0;x\x07<script>\0../..\r\n"
HUGE = (0xFFFFFFFF, 0x7FFFFFFF, 0x40000000, 0x00010000, 0)


def damaged(whole, chance):
    """Yield a file cut, with bytes turned over, with sizes that are huge, and leading to itself."""
    yield whole[: chance.randrange(1, len(whole) + 1)]
    flipped = bytearray(whole)
    for _ in range(chance.randint(1, 16)):
        flipped[chance.randrange(len(whole))] = chance.randrange(256)
    yield bytes(flipped)
    for order in "<>":
        claims = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place = 4 * chance.randrange(max(1, min(len(whole), 2048) // 4))
            claims[place : place + 4] = struct.pack(f"{order}I", chance.choice(HUGE))
        yield bytes(claims)
    circle = bytearray(whole)
    place = 4 * chance.randrange(max(1, len(whole) // 4))
    circle[place : place + 4] = struct.pack("<I", place)
    yield bytes(circle)
    yield whole + whole
    yield odd_values(whole, chance)
    yield whole[: 1 << chance.randrange(2, max(3, len(whole).bit_length()))]


def odd_values(whole, chance):
    """Return a file with numbers that are none, and texts that a terminal or a page would obey."""
    odd = bytearray(whole)
    for order in "<>":
        for _ in range(chance.randint(1, 8)):
            place = 2 * chance.randrange(max(1, len(whole) // 2))
            form = chance.choice("fd")
            value = struct.pack(f"{order}{form}", chance.choice(ODD))
            odd[place : place + len(value)] = value
    place = chance.randrange(max(1, len(whole)))
    odd[place : place + len(BITING)] = BITING
    return bytes(odd)


def judged(path):
    """Read a file and draw it; what its reader raises for a preview is no concern of this test."""
    found = read(path)
    assert (found.reason is None) == (found.outcome == "extracted")
    raised = []
    for index in range(min(len(found.datasets), 4)):
        try:
            found.preview(index)
        except Exception as error:  # noqa: BLE001 - the port allows any: the preview is left out
            raised.append(type(error))
    assert not any(issubclass(one, MemoryError) for one in raised)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_damaged_file_is_neither_slow_nor_large(tmp_path, name):
    sample = SAMPLES[name](tmp_path)
    whole = sample.read_bytes()
    judged(sample)  # imports are not the file's
    tracemalloc.start()
    try:
        for seed in range(SEEDS):
            for content in damaged(whole, random.Random(seed)):  # noqa: S311 - the same every time
                sample.write_bytes(content)
                tracemalloc.reset_peak()
                before = time.process_time()
                judged(sample)
                assert time.process_time() - before < SECONDS
                assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
