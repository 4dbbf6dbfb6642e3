"""Small valid files of every kind that the program reads, for spoiling."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from resharp.images.modern import modern_formats
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.writing import write_photo

WIDTH, HEIGHT = 24, 20
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
    b' exif:GPSLatitude="48,8.1N"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">A title</rdf:li></rdf:Alt></dc:title>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def scene(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W, 3) uint8, smooth colour with no two corners alike."""
    down, across = np.mgrid[0:height, 0:width]
    values = np.stack([across * 255 // width, down * 255 // height, (across + down) % 64 * 3], axis=2)
    return values.astype(np.uint8)


def exif_of_a_camera() -> Image.Exif:
    """A camera, an exposure, maker notes, a place, and orientation 6."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Maker", "Model X", 6
    exif[0x8769] = {0x829A: 0.5, 0x9003: "2024:05:06 07:08:09", 0x927C: b"maker note \x00\x01"}
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 6.0), 3: "E", 4: (11.0, 34.0, 12.0)}
    return exif


def _saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photo_files(place: Path) -> dict[str, bytes]:
    """By a name with the usual suffix; `place` is a folder for what only our own writers make."""
    rgb = Image.fromarray(scene())
    rgba = Image.fromarray(np.dstack([scene(), scene()[:, :, 0]]))
    gray, palette = rgb.convert("L"), rgb.convert("P", palette=Image.Palette.ADAPTIVE)
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "A title", zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    every = {"exif": exif_of_a_camera(), "icc_profile": SRGB}
    files = {
        "plain.jpg": _saved(rgb, "JPEG"),
        "full.jpg": _saved(rgb, "JPEG", **every, xmp=XMP, comment=b"hello", dpi=(300, 300)),
        "progressive.jpg": _saved(rgb, "JPEG", progressive=True),
        "gray.jpg": _saved(gray, "JPEG"),
        "cmyk.jpg": _saved(rgb.convert("CMYK"), "JPEG"),
        "two.jpg": _saved(rgb, "MPO", save_all=True, append_images=[gray.convert("RGB")]),
        "plain.png": _saved(rgb, "PNG"),
        "full.png": _saved(rgba, "PNG", **every, pnginfo=text, dpi=(300, 300)),
        "palette.png": _saved(palette, "PNG", transparency=3),
        "keyed.png": _saved(rgb, "PNG", transparency=(0, 0, 0)),
        "bits.png": _saved(gray.convert("1"), "PNG"),
        "deep_gray.png": _saved(Image.fromarray(scene()[:, :, 0].astype(np.uint16) * 257), "PNG"),
        "lossy.webp": _saved(rgb, "WEBP"),
        "full.webp": _saved(rgba, "WEBP", lossless=True, **every, xmp=XMP),
        "plain.tif": _saved(rgb, "TIFF"),
        "lzw.tif": _saved(rgba, "TIFF", compression="tiff_lzw", icc_profile=SRGB),
        "jpeg.tif": _saved(rgb, "TIFF", compression="jpeg"),
        "packbits.tif": _saved(palette, "TIFF", compression="packbits"),
        "fax.tif": _saved(gray.convert("1"), "TIFF", compression="group4"),
        "ycbcr.tif": _saved(rgb.convert("YCbCr"), "TIFF"),
        "plain.bmp": _saved(rgb, "BMP"),
        "palette.bmp": _saved(palette, "BMP"),
        "animated.gif": _saved(palette, "GIF"),
    }
    for suffix, format in ((".heic", "HEIF"), (".avif", "AVIF")):
        if format in modern_formats():
            files["full" + suffix] = _saved(rgb, format, **every, xmp=XMP)
            files["alpha" + suffix] = _saved(rgba, format)
    files |= _own_files(place)
    return files | {f"raw{i}": data for i, data in enumerate(raw_files())}


def _own_files(place: Path) -> dict[str, bytes]:
    """16 bits a channel, and a TIFF with all its tags."""
    pixels = scene().astype(np.float32) / 255
    block = exif_of_a_camera().tobytes()[6:]
    deep = PhotoMeta(bit_depth=16, exif=block, xmp=XMP, icc=SRGB, texts=(("Title", "A title"),))
    found = {}
    for name, photo in {
        "deep.png": Photo(pixels, meta=deep),
        "deep_alpha.png": Photo(pixels, pixels[:, :, 0], deep),
        "deep_gray_alpha.png": Photo(pixels, pixels[:, :, 0], PhotoMeta(bit_depth=16, kind="gray")),
        "deep.tif": Photo(pixels, meta=deep),
        "deep_alpha.tif": Photo(pixels, pixels[:, :, 0], deep),
    }.items():
        write_photo(photo, place / name)
        found[name] = (place / name).read_bytes()
    return found


def raw_files() -> list[bytes]:
    """The beginnings of camera raw files."""
    tiff = struct.pack("<2sHIH", b"II", 42, 8, 2)
    entry = struct.Struct("<HHII")
    sensor = tiff + entry.pack(254, 4, 1, 0) + entry.pack(262, 3, 1, 32803) + bytes(40)
    dng = tiff + entry.pack(254, 4, 1, 1) + entry.pack(50706, 1, 4, 0x0401) + bytes(40)
    return [
        sensor,
        dng,
        b"II*\0\x10\0\0\0CR\x02\0" + bytes(60),
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(60),
        b"FUJIFILMCCD-RAW 0201FF" + bytes(60),
        b"IIU\0\x18\0\0\0" + bytes(60),
        b"IIRO\x08\0\0\0" + bytes(60),
    ]
