"""HEIC and AVIF, which need codecs that not every installation has."""

from __future__ import annotations

import importlib.util

from PIL import features

# The brands after "ftyp" at the start of a file: of HEIC as phones write it, and of AVIF.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")


def modern_formats() -> tuple[str, ...]:
    """Those of "HEIF" and "AVIF", Pillow's names, that can be read and written here."""
    found = []
    if importlib.util.find_spec("pillow_heif") is not None:
        try:
            from pillow_heif import register_heif_opener
        except (ImportError, OSError):  # built for another system
            pass
        else:
            register_heif_opener()
            found.append("HEIF")
    if features.check("avif"):
        found.append("AVIF")
    return tuple(found)


def modern_format(start: bytes) -> str | None:
    """ "HEIF" or "AVIF" if a file begins with these 32 bytes or more of one, else None."""
    if start[4:8] != b"ftyp":
        return None
    # A HEIF brand with AVIF among the compatible ones is an AVIF.
    if start[8:12] in _AVIF_BRANDS or (start[8:12] in (b"mif1", b"msf1") and b"avi" in start[16:]):
        return "AVIF"
    return "HEIF" if start[8:12] in _HEIF_BRANDS else None


def remedy(format: str) -> str:
    """What to do where `format`, "HEIF" or "AVIF", cannot be read or written here."""
    if format == "AVIF":
        return "this Pillow is built without AVIF: install Pillow from PyPI, or export it as PNG or JPEG"
    return "HEIC needs another library: pip install 'resharp[heic]', or export it as PNG or JPEG"
