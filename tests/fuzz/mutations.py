"""Spoil valid files: bytes of any kind, PNG with its checksums put right again, JSON by its values."""

from __future__ import annotations

import json
import random
import struct
import zlib
from typing import Any

# What a field of 1, 2 or 4 bytes can be forced to.
_EXTREMES = (0, 1, 2, 3, 8, 16, 32, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)

# Not made once for all: a test that changes one would change the next.
_HOSTILE = (
    "0",
    "-1",
    "1",
    "2",
    "1000000000",
    "4294967296",
    "9223372036854775808",
    "1" + "0" * 30,
    "1" + "0" * 5000,
    "0.5",
    "-0.0",
    "1e308",
    "1e999",
    "NaN",
    "-Infinity",
    "null",
    "true",
    "false",
    '""',
    '"x"',
    '"input"',
    '"diffusion"',
    '"predictor"',
    '"../../etc/passwd"',
    '"/dev/zero"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"' + "long " * 400 + '"',
    '"two\\nlines"',
    "[]",
    "[[]]",
    "[1]",
    "[1000000000]",
    "[2, 3]",
    "[" * 3000 + "]" * 3000,
    '{"a": ' * 3000 + "1" + "}" * 3000,
    "[" + "1," * 5000 + "1]",
    "{}",
    '{"a": 1}',
)


def spoil_bytes(data: bytes, draw: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """One to four changes; `others` are files that pieces may come from."""
    spoilt = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        _spoil_once(spoilt, draw, others)
    if spoilt[:4] == b"\x89PNG" and draw.random() < 0.6:
        return with_checksums(bytes(spoilt))
    return bytes(spoilt)


def _spoil_once(data: bytearray, draw: random.Random, others: tuple[bytes, ...]) -> None:
    size = len(data)
    # Headers are where a decoder's decisions are made.
    at = draw.randrange(min(size, draw.choice((40, 400, size))) + 1) if size else 0
    span = draw.choice((1, 2, 4, 16, 200))
    match draw.randrange(8):
        case 0:
            data[at : at + span] = draw.randbytes(len(data[at : at + span]))
        case 1:
            del data[at:]
        case 2:
            del data[at : at + span]
        case 3:
            data[at:at] = data[at : at + span]
        case 4:
            other = draw.choice(others) if others else bytes(data)
            cut = draw.randrange(len(other) + 1)
            data[at:] = other[cut:]
        case 5:
            width, letter = draw.choice(((1, "B"), (2, "H"), (4, "I")))
            value = draw.choice(_EXTREMES) & (256**width - 1)
            data[at : at + width] = struct.pack(draw.choice("<>") + letter, value)
        case 6:
            data[at : at + span] = bytes(len(data[at : at + span]))
        case _:
            for place in range(at, min(at + span, size)):
                data[place] ^= 1 << draw.randrange(8)


def with_checksums(data: bytes) -> bytes:
    """A PNG file whose chunks have the checksum of what is in them, so that a decoder goes on to read it."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        end = at + 8 + length
        if end + 4 > len(data):
            break
        parts.append(data[at:end] + struct.pack(">I", zlib.crc32(data[at + 4 : end])))
        at = end + 4
    return b"".join(parts) + data[at:]


def spoil_json(text: str, draw: random.Random) -> str:
    """One to three values, keys or letters of a JSON document replaced, removed, added or doubled."""
    if draw.random() < 0.15:
        return spoil_bytes(text.encode(), draw).decode("utf-8", "replace")
    document = json.loads(text)
    holes: dict[str, str] = {}
    for _ in range(draw.choice((1, 1, 2, 3))):
        _spoil_node(document, draw, holes)
    written = json.dumps(document)
    for name, value in holes.items():
        written = written.replace(json.dumps(name), value)
    return written


def _spoil_node(document: Any, draw: random.Random, holes: dict[str, str]) -> None:
    """Put a hole where a hostile value goes: some of them no Python value stands for."""
    nodes = [node for node in _containers(document) if node]
    if not nodes:
        return
    node = draw.choice(nodes)
    key = draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
    hole = f"hole {len(holes)}"
    kind = draw.randrange(8)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[draw.choice((str(key) + "s", "", "unknown", "__class__", "x" * 3000))] = node[key]
    elif kind == 2 and isinstance(node, list):
        node.append(node[key])
    else:
        node[key] = hole
        holes[hole] = draw.choice(_HOSTILE)


def _containers(node: Any) -> list[Any]:
    found = [node] if isinstance(node, (dict, list)) else []
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        found += _containers(child)
    return found


def hostile_value(draw: random.Random) -> str:
    """As it is written in JSON; much of it is TOML too."""
    return draw.choice(_HOSTILE)


def spoil_safetensors(data: bytes, draw: random.Random) -> bytes:
    """Its header as JSON, or bytes of it; the length before the header mostly fits."""
    if draw.random() < 0.3:
        return spoil_bytes(data, draw)
    (length,) = struct.unpack("<Q", data[:8])
    header = spoil_json(data[8 : 8 + length].decode(), draw).encode("utf-8", "replace")
    told = len(header) if draw.random() < 0.9 else draw.choice((0, 1, len(header) - 1, 2**31, 2**63, 2**64 - 1))
    return struct.pack("<Q", told) + header + data[8 + length :]
