"""Pictures as the browser gets them: re-encoded alike, of equal file size, under names that say nothing."""

from __future__ import annotations

import hashlib
import hmac
import io
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from resharp.images.colour import profile_space
from resharp.images.reading import read_photo
from resharp.study.pictures import StudyPhoto

# Versions of a photo beside those by the methods. No method's name may begin with the mark.
MARK = "*"
SHARP, INPUT, BLURRED = "*sharp", "*input", "*blurred"

_KEPT_BYTES = 256 << 20
_CHUNK_OVERHEAD = 12  # length, kind and checksum of a PNG chunk
_PADDING = b"paDd"  # by its case: ancillary, private, safe to copy; decoders pass over it
_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))


class PictureStore:
    """PNG files for the browser, by opaque name.

    All versions of one photo are 8-bit PNG by the same encoder, without metadata except the colour profile, and
    padded to one length, so that neither headers nor sizes tell methods apart. What pixels show, they show.

    Args:
        photos: the study's.
        secret: random, kept with the study; names follow from it and cannot be guessed without it.
    """

    def __init__(self, photos: Iterable[StudyPhoto], secret: str) -> None:
        self._secret = secret.encode()
        self._known: dict[str, tuple[StudyPhoto, str]] = {}
        for photo in photos:
            for version in versions_of(photo):
                self._known[self.name(photo.name, version)] = photo, version
        self._kept: OrderedDict[str, dict[str, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def name(self, photo: str, version: str) -> str:
        """The opaque name of a picture: 32 hexadecimal digits."""
        text = f"{photo}\0{version}".encode("utf-8", "surrogateescape")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:32]

    def png(self, name: str) -> bytes | None:
        """The PNG file of this opaque name, or None if there is none.

        Raises:
            ImageError: its source can no longer be read.
        """
        if name not in self._known:
            return None
        photo, version = self._known[name]
        # One at a time: the first request for a photo encodes all its versions, the others find them made.
        with self._lock:
            if photo.name not in self._kept:
                self._kept[photo.name] = encode_versions(photo)
            self._kept.move_to_end(photo.name)
            while len(self._kept) > 1 and self._total() > _KEPT_BYTES:
                self._kept.popitem(last=False)
            return self._kept[photo.name][version]

    def _total(self) -> int:
        return sum(len(file) for files in self._kept.values() for file in files.values())


def versions_of(photo: StudyPhoto) -> list[str]:
    """Everything about this photo that may be shown: methods, the input, the pictures of attention checks."""
    return [*photo.by_method, *([INPUT] if photo.blurry else []), *([SHARP] if photo.sharp else []), BLURRED]


def encode_versions(photo: StudyPhoto) -> dict[str, bytes]:
    """PNG files of equal length, by version; raises ImageError."""
    encoded = {method: _png(path) for method, path in photo.by_method.items()}
    if photo.blurry:
        encoded[INPUT] = _png(photo.blurry)
    if photo.sharp:
        encoded[SHARP] = _png(photo.sharp)
    encoded[BLURRED] = _png(photo.sharp or next(iter(photo.by_method.values())), blur=blur_px(photo.size))
    length = max(map(len, encoded.values())) + _CHUNK_OVERHEAD
    return {version: pad_png(file, length) for version, file in encoded.items()}


def blur_px(size: tuple[int, int]) -> float:
    """Standard deviation of the Gaussian in the wrong answer of an attention check: 1.5 % of the shorter side,
    at least 4 px, which nobody who looks takes for the better picture."""
    return max(4.0, 0.015 * min(size))


def pad_png(file: bytes, length: int) -> bytes:
    """The same picture in a file of exactly `length` bytes.

    Raises:
        ValueError: it is not a PNG file, or fewer than 12 bytes are to be added.
    """
    room = length - len(file) - _CHUNK_OVERHEAD
    if not file.endswith(_END) or room < 0:
        raise ValueError(f"cannot pad a file of {len(file)} bytes to {length}")
    body = _PADDING + bytes(room)
    return file[: -len(_END)] + struct.pack(">I", room) + body + struct.pack(">I", zlib.crc32(body)) + _END


def _png(path: Path, blur: float = 0.0) -> bytes:
    photo = read_photo(path)
    image = Image.fromarray(np.rint(np.clip(photo.pixels, 0, 1) * 255).astype(np.uint8))
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    icc = photo.meta.icc if profile_space(photo.meta.icc) == "RGB" else None
    file = io.BytesIO()
    # A fast level: somebody waits for it.
    image.save(file, format="PNG", compress_level=2, icc_profile=icc)
    return file.getvalue()
