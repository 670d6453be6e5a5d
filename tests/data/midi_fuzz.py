"""Seeded damage to MIDI files: ``mutations(seed, count)`` yields the bytes of damaged files, the same for a seed.

The healthy files they start from are put together here byte by byte, in the habits of several programs (running status,
note-on with velocity 0, pedal, SMPTE division, one track or many), so that the damage meets what real files hold.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator


def number(value: int) -> bytes:
    """A variable-length number."""
    out = [value & 127]
    while value := value >> 7:
        out.append(value & 127 | 128)
    return bytes(reversed(out))


def header(kind: int = 1, tracks: int = 1, division: int = 480, length: int = 6) -> bytes:
    return b"MThd" + struct.pack(">IHHH", length, kind, tracks, division)


def track(content: bytes, *, end: bool = True, length: int | None = None) -> bytes:
    """A track chunk; ``length`` overrides the true one."""
    body = content + (b"\x00\xff\x2f\x00" if end else b"")
    return b"MTrk" + struct.pack(">I", len(body) if length is None else length) + body


def melody(rng: random.Random, notes: int, channel: int = 0, running: bool = True) -> bytes:
    """A line of notes; with running status and velocity 0 for note-offs, or with a status byte for everything."""
    out = bytearray()
    status = 0
    for _ in range(notes):
        pitch = rng.randint(40, 90)
        off = 0x90 if running else 0x80
        for delta, event, velocity in (
            (rng.choice((0, 120, 240)), 0x90, rng.randint(1, 127)),
            (rng.choice((60, 120, 480)), off, 0 if running else 64),
        ):
            out += number(delta)
            if event | channel != status or not running:
                out.append(event | channel)
                status = event | channel
            out += bytes((pitch, velocity))
    return bytes(out)


def chords(rng: random.Random, count: int, channel: int = 1) -> bytes:
    out = bytearray()
    for _ in range(count):
        root = rng.randint(36, 60)
        for k, pitch in enumerate((root, root + 4, root + 7)):
            out += number(0) + bytes((0x90 | channel, pitch, 70 + k))
        for k, pitch in enumerate((root, root + 4, root + 7)):
            out += number(960 if k == 0 else 0) + bytes((0x80 | channel, pitch, 0))
    return bytes(out)


CONDUCTOR = (
    b"\x00\xff\x03\x05piece\x00\xff\x51\x03\x07\xa1\x20\x00\xff\x58\x04\x03\x02\x18\x08\x00\xff\x59\x02\xfe\x00"
    b"\x8f\x00\xff\x51\x03\x09\x27\xc0\x8f\x00\xff\x58\x04\x05\x03\x18\x08"
)


def healthy(rng: random.Random) -> list[bytes]:
    """Six sound files."""
    pedal = b"".join(number(60) + bytes((0xB0, 64, 127)) + number(300) + bytes((0xB0, 64, 0)) for _ in range(8))
    sysex = b"\x00\xf0\x05\x7e\x7f\x09\x01\xf7\x00\xc0\x13\x00\xb0\x07\x64"
    return [
        header(0, 1, 96) + track(CONDUCTOR + melody(rng, 40)),
        header(1, 3) + track(CONDUCTOR) + track(b"\x00\xc0\x28" + melody(rng, 60)) + track(chords(rng, 20)),
        header(1, 2, 1024) + track(sysex + pedal) + track(melody(rng, 50, running=False)),
        header(1, 2, 0xE728) + track(CONDUCTOR) + track(melody(rng, 30)),
        header(2, 2) + track(CONDUCTOR + melody(rng, 20)) + track(melody(rng, 20, channel=9)),
        b"RIFF" + struct.pack("<I", 999) + b"RMIDdata" + struct.pack("<I", 900) + header(0) + track(melody(rng, 30)),
    ]


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at : at + rng.randint(1, 16)] = rng.randbytes(rng.randint(1, 16))


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _delete(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, 40)]


def _duplicate(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    part = data[at : at + rng.randint(1, 200)]
    where = rng.randrange(len(data))
    data[where:where] = part * rng.choice((1, 2, 20))


def _insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    garbage = (rng.randbytes(rng.randint(1, 300)), b"\xff" * 40, b"\x80" * 40, bytes(40), b"MTrk", b"MThd\0\0\0\6")
    data[at:at] = rng.choice(garbage)


def _chunk_length(data: bytearray, rng: random.Random) -> None:
    starts = [at for at in range(len(data) - 8) if data[at : at + 4] in (b"MTrk", b"MThd")]
    if starts:
        at = rng.choice(starts)
        length = rng.choice((0, 1, 3, 7, rng.randrange(1 << 16), 0x7FFFFFFF, 0xFFFFFFFF))
        data[at + 4 : at + 8] = struct.pack(">I", length)


def _header(data: bytearray, rng: random.Random) -> None:
    at = data.find(b"MThd")
    if 0 <= at <= len(data) - 14:
        data[at + 4 + rng.randrange(10)] = rng.choice((0, 1, 2, 127, 128, 226, 255, rng.randrange(256)))


def _long_delta(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x80\x80\x01"))


def _giant_message(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.choice((b"\x00\xf0", b"\x00\xf7", b"\x00\xff\x51", b"\x00\xff\x03")) + b"\xff\xff\xff\x7f"


def _bad_meta(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    kind = rng.choice((0x00, 0x03, 0x20, 0x21, 0x51, 0x54, 0x58, 0x59, 0x7F))
    data[at:at] = bytes((0, 0xFF, kind)) + number(size := rng.randrange(6)) + rng.randbytes(size)


MUTATORS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _overwrite, _truncate, _delete, _duplicate, _insert, _chunk_length, _header, _long_delta, _giant_message,
    _bad_meta,
)  # fmt: skip


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """``count`` damaged files: each healthy file in turn, with one to three kinds of damage."""
    rng = random.Random(seed)
    files = healthy(rng)
    for k in range(count):
        data = bytearray(files[k % len(files)])
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            if data:
                rng.choice(MUTATORS)(data, rng)
        yield bytes(data)
