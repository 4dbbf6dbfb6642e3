"""ICC profiles: whether one fits the pixels, and conversion to sRGB for what is not RGB."""

from __future__ import annotations

import io

from PIL import Image, ImageCms


def profile_space(icc: bytes | None) -> str | None:
    """The colour space an ICC profile describes ("RGB", "GRAY", "CMYK", ...), or None if it is broken."""
    if not icc:
        return None
    try:
        return ImageCms.getOpenProfile(io.BytesIO(icc)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def srgb_profile() -> bytes:
    """An sRGB profile, the same bytes each time."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # LittleCMS puts today's date here; equal inputs should give equal files.
    icc[24:36] = bytes.fromhex("07e800060001000000000000")
    return bytes(icc)


def to_srgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Convert a CMYK or LAB picture to RGB; return it with the ICC profile of the result.

    A CMYK picture without a profile that fits says only how much ink, not which colour: it is converted
    by Pillow's plain formula and gets no profile.
    """
    source = None
    if image.mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif icc is not None and profile_space(icc) == image.mode:
        source = ImageCms.getOpenProfile(io.BytesIO(icc))
    if source is None:
        return image.convert("RGB"), None
    target = srgb_profile()
    try:
        converted = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.getOpenProfile(io.BytesIO(target)),
            # What photo editors do by default: keep colours that sRGB has, map black to black.
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError:
        return image.convert("RGB"), None
    return converted, target
