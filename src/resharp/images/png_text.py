"""The texts of a PNG file, and the one of a JPEG: titles, authors, comments."""

from __future__ import annotations

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from resharp.images.photo import PhotoMeta
from resharp.images.xmp import KEY, xmp_packet

COMMENT = "Comment"  # PNG's keyword for what JPEG keeps in its comment segment
_XMP_KEYWORD = "XML:com.adobe.xmp"
_LONGEST_KEYWORD = 79
LONGEST_COMMENT_BYTES = 65533


def texts_of(image: Image.Image) -> tuple[tuple[str, str], ...]:
    """Keywords and texts of a loaded PNG, the comment of a JPEG; without receipts, XMP and EXIF, which go elsewhere."""
    if image.format == "PNG":
        found = dict(getattr(image, "text", {}))
        # Some programs keep EXIF, IPTC and XMP as text in hexadecimal, with the old orientation in it.
        kept = {k: str(v) for k, v in found.items() if k not in (KEY, _XMP_KEYWORD) and not k.startswith("Raw profile")}
        # They also repeat EXIF tags, the orientation among them.
        return tuple((k, v) for k, v in kept.items() if k.lower() != "exif:orientation")
    comment = image.info.get("comment")
    if isinstance(comment, bytes) and comment.strip(b"\0 "):
        try:
            return ((COMMENT, comment.decode("utf-8")),)
        except UnicodeDecodeError:
            return ((COMMENT, comment.decode("latin-1")),)
    return ()


def without_gps(texts: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Without the coordinates that some programs repeat as text."""
    return tuple((keyword, text) for keyword, text in texts if "gps" not in keyword.lower())


def png_chunks(meta: PhotoMeta) -> PngInfo:
    """Texts, XMP and receipt as PNG chunks."""
    info = PngInfo()
    for keyword, text in meta.texts:
        if not (0 < len(keyword) <= _LONGEST_KEYWORD and keyword.isascii() and keyword.isprintable()):
            continue  # no other program could read it
        text = text.replace("\0", "")
        if all(character in "\n\t" or " " <= character <= "~" or "\xa0" <= character <= "\xff" for character in text):
            info.add_text(keyword, text)
        else:
            info.add_itxt(keyword, text.encode("utf-8", "replace").decode("utf-8"))
    packet = xmp_packet(None, meta.xmp, meta.source_type)
    if packet is not None:
        info.add_itxt(_XMP_KEYWORD, packet.decode("utf-8", "replace"))
    if meta.receipt is not None:
        info.add_text(KEY, meta.receipt)
    return info


def jpeg_comment(meta: PhotoMeta) -> bytes | None:
    """The text for a JPEG's comment segment, if there is one and it fits."""
    comment = dict(meta.texts).get(COMMENT)
    data = None if comment is None else comment.encode("utf-8", "replace")
    return data if data and len(data) <= LONGEST_COMMENT_BYTES else None
