"""A photo in memory: pixels to restore, transparency to leave alone, and what its file carried."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from PIL import Image

from resharp.images.xmp import SourceType

Kind = Literal["gray", "rgb", "rgba", "palette", "cmyk"]


@dataclass(frozen=True)
class PhotoMeta:
    """What `write_photo` needs to give back a file of the same kind.

    `icc` and `exif` describe the pixels as they are in memory: a profile that does not fit them (CMYK
    after conversion to RGB) is not kept, and the orientation in `exif` is 1 because it has been applied.
    """

    format: str = "PNG"  # the file's own format, one of READABLE_FORMATS
    kind: Kind = "rgb"  # how the file stored colour; alpha, where there is one, is in Photo.alpha
    bit_depth: Literal[8, 16] = 8  # bits per channel that were read, not what the header promised
    icc: bytes | None = None  # ICC profile; None means sRGB by convention
    exif: bytes | None = None  # EXIF block from its byte-order mark (II or MM) on, without "Exif\0\0"
    dpi: tuple[float, float] | None = None  # horizontal and vertical dots per inch
    xmp: bytes | None = None  # an XMP packet without what is true of the old file alone; see images/xmp.py
    iptc: bytes | None = None  # IPTC captions and credits of JPEG and TIFF, as stored
    texts: tuple[tuple[str, str], ...] = ()  # keywords and texts of a PNG, the comment of a JPEG
    dropped: tuple[str, ...] = ()  # what the file has besides, in words, that no result will have
    # How the pixels were made, for the file. Reading leaves it None: it would not be true of other pixels.
    receipt: str | None = None
    # How much a model had to do with the pixels, in IPTC's words. As with the receipt, reading leaves it None.
    source_type: SourceType | None = None


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not an answer
class Photo:
    """A photo of H x W pixels, upright.

    samples: (H, W, 3) uint8 or uint16 as read from a file, or float32 in [0, 1]: gamma-encoded RGB as stored, in the
        file's own colour space; a gray photo has three equal channels.
    alpha: (H, W) float32 in [0, 1], or None for an opaque photo. Restoration leaves it alone, and
        `samples` keeps the stored colour where alpha is 0.
    """

    samples: np.ndarray
    alpha: np.ndarray | None = None
    meta: PhotoMeta = field(default_factory=PhotoMeta)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.samples.shape[0], self.samples.shape[1]

    @property
    def pixels(self) -> np.ndarray:
        """(H, W, 3) float32 in [0, 1]: `samples` themselves if they are, else made anew at each call."""
        return as_floats(self.samples)

    @property
    def planes(self) -> np.ndarray:
        """`samples` as (1, 3, H, W), the same memory: not to be written to."""
        return np.moveaxis(self.samples, 2, 0)[None]

    def with_pixels(self, pixels: np.ndarray) -> Photo:
        """The same photo with other pixels of the same shape, (H, W, 3); alpha and metadata stay.

        Raises:
            ValueError: the shape differs.
        """
        if pixels.shape != self.samples.shape:
            raise ValueError(f"pixels have shape {pixels.shape}, the photo has {self.samples.shape}")
        return replace(self, samples=np.asarray(pixels, dtype=np.float32))

    def enlarged(self, pixels: np.ndarray) -> Photo:
        """The same photo with pixels of another size, (H', W', 3); alpha is interpolated, metadata stay."""
        alpha = self.alpha
        if alpha is not None and alpha.shape != pixels.shape[:2]:
            size = (pixels.shape[1], pixels.shape[0])
            alpha = np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
        return replace(self, samples=np.asarray(pixels, dtype=np.float32), alpha=alpha)


def as_floats(samples: np.ndarray) -> np.ndarray:
    """uint8 or uint16 samples as float32 in [0, 1]; floats as they are."""
    if samples.dtype.kind != "u":
        return samples
    scaled = samples.astype(np.float32)
    scaled /= np.float32(np.iinfo(samples.dtype).max)
    return scaled
