"""Colour spaces that a file names by number or by its primaries, as ICC profiles: the one form all results can hold."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

Chromaticity = tuple[float, float]  # CIE 1931 x, y
D65: Chromaticity = (0.3127, 0.3290)

# ITU-T H.273: colour primaries (red, green, blue, white) by number, where they are not sRGB's.
_PRIMARIES: dict[int, tuple[str, tuple[Chromaticity, ...]]] = {
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)),
    11: ("DCI-P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351))),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65)),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
# Perceptual quantiser and hybrid log-gamma.
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}

# g, a, b, c, d of IEC 61966-2-1: (a x + b)^g from d on, else c x.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_D50 = np.array([0.9642, 1.0, 0.8249])  # XYZ, as ICC rounds it
# Bradford: XYZ to the responses in which one white is turned into another (ICC.1:2022, annex E).
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def profile_of_numbers(primaries: int, transfer: int) -> bytes | None:
    """The ICC profile of a colour space by its numbers in ITU-T H.273; None for sRGB and what is unspecified.

    Transfer functions made for video are taken as sRGB's, as browsers do.
    """
    name, chromaticities = _PRIMARIES.get(primaries, ("sRGB", SRGB_PRIMARIES))
    gamma = _GAMMAS.get(transfer)
    if primaries not in _PRIMARIES and gamma is None:
        return None
    return rgb_profile(chromaticities, gamma, name)


SRGB_PRIMARIES: tuple[Chromaticity, ...] = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)


def rgb_profile(chromaticities: Sequence[Chromaticity], gamma: float | None, name: str) -> bytes:
    """An ICC profile, version 4, of matrix and curves.

    Args:
        chromaticities: of red, green, blue and white.
        gamma: linear light is the value to this power; None is sRGB's curve.
        name: ASCII; shown to people.

    Raises:
        ValueError: they span no colour space, such as three primaries on a line.
    """
    adapted, matrix = _to_d50(chromaticities)
    curve = struct.pack(">4sIHH", b"para", 0, 3, 0) + _fixed(_SRGB_CURVE)
    if gamma is not None:
        curve = struct.pack(">4sIHH", b"para", 0, 0, 0) + _fixed([gamma])
    columns = {b"rXYZ": matrix[:, 0], b"gXYZ": matrix[:, 1], b"bXYZ": matrix[:, 2], b"wtpt": _D50}
    tags = {key: struct.pack(">4sI", b"XYZ ", 0) + _fixed(value) for key, value in columns.items()}
    tags[b"chad"] = struct.pack(">4sI", b"sf32", 0) + _fixed(adapted.ravel())
    tags |= {b"desc": _text(name), b"cprt": _text("No copyright")}
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, body = struct.pack(">I", len(tags)), b""
    first = 128 + 4 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", first + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">I4s4s4s4s4s", first + len(body), bytes(4), b"\x04\0\0\0", b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp")  # one date, so that equal spaces are equal bytes
    header += bytes(28) + _fixed(_D50)
    return header.ljust(128, b"\0") + table + body


def _to_d50(chromaticities: Sequence[Chromaticity]) -> tuple[np.ndarray, np.ndarray]:
    """Two (3, 3) arrays: the adaptation of white to D50, and linear RGB to XYZ after it."""
    if any(not (0 <= x <= 1 and 0 < y <= 1 and x + y <= 1) for x, y in chromaticities):
        raise ValueError("a chromaticity outside the diagram")
    columns = [np.array([x / y, 1, (1 - x - y) / y]) for x, y in chromaticities]
    white = columns.pop()
    matrix = np.stack(columns, axis=1)
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError("the primaries lie on a line")
    matrix = matrix * np.linalg.solve(matrix, white)
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted = np.linalg.inv(_BRADFORD) @ (gains[:, None] * _BRADFORD)
    return adapted, adapted @ matrix


def _fixed(values: Sequence[float] | np.ndarray) -> bytes:
    """Numbers as ICC's signed 15.16 fixed point."""
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded
