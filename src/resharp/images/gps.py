"""Take the place where a photo was made out of it."""

from __future__ import annotations

from dataclasses import replace

from resharp.images import exif, png_text, xmp
from resharp.images.jpeg_pieces import APP1, pieces
from resharp.images.photo import Photo

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
# They lead to what lies behind the picture, which is cut off: second pictures and packets with a place of their own.
_POINTERS = (b"MPF\0", b"http://ns.adobe.com/xmp/extension/\0", b"urn:iso:std:iso:ts:21496")
_LONGEST = 65533
UNSEARCHED = "EXIF, which could not be searched for a place"


def without_gps(photo: Photo) -> Photo:
    """The same photo without GPS coordinates in EXIF, XMP and texts; everything else stays.

    Names of places that somebody typed in (city, caption) stay too, and so do maker notes.
    """
    meta = photo.meta
    clean = exif.without_gps(meta.exif)
    lost = (UNSEARCHED,) if clean is None and meta.exif is not None else ()
    texts = png_text.without_gps(meta.texts)
    cleaned = replace(meta, exif=clean, xmp=xmp.without_gps(meta.xmp), texts=texts, dropped=meta.dropped + lost)
    return replace(photo, meta=cleaned)


def jpeg_without_gps(data: bytes) -> bytes | None:
    """A JPEG file without coordinates and without what follows the picture; the compressed data are the same bytes.

    None if its metadata cannot be followed.
    """
    kept: list[bytes] = []
    try:
        for marker, payload, raw in pieces(data):
            if payload.startswith(_POINTERS):
                continue
            if marker == APP1 and payload.startswith((_EXIF, _XMP)):
                is_exif = payload.startswith(_EXIF)
                prefix = _EXIF if is_exif else _XMP
                clean = (exif if is_exif else xmp).without_gps(payload[len(prefix) :])
                if is_exif and clean is None:
                    return None  # the orientation is in it
                if clean is None or len(prefix + clean) > _LONGEST:
                    continue
                raw = b"\xff\xe1" + (len(prefix + clean) + 2).to_bytes(2, "big") + prefix + clean
            kept.append(raw)
    except (IndexError, ValueError):
        return None
    return b"".join(kept)
