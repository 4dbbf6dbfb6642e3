"""Results as ExifTool reads them, an independent program; skipped where it is not installed.

On Debian: apt-get install libimage-exiftool-perl
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess

import pytest
from PIL import Image

from resharp.images.gps import without_gps
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo
from sample_photos import SRGB, XMP, exif_of_a_camera, scene

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
SUFFIXES = pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".heic", ".avif"])
# Of the file and its pixels, and not of the photograph.
OF_THE_FILE = (
    "ExifTool",
    "System",
    "File",
    "JFIF",
    "PNG",
    "PNG-pHYs",
    "RIFF",
    "QuickTime",
    "Meta",
    "Composite",
    "ICC-header",
)
OF_TIFF = {
    *("ImageWidth", "ImageHeight", "BitsPerSample", "Compression", "PhotometricInterpretation", "StripOffsets"),
    *("SamplesPerPixel", "RowsPerStrip", "StripByteCounts", "PlanarConfiguration", "Predictor", "ExtraSamples"),
    *("XResolution", "YResolution", "ResolutionUnit", "YCbCrPositioning"),
}


def tags(path) -> dict[str, object]:
    words = ["exiftool", "-j", "-G1", "-a", "-n", "-b", "-struct", str(path)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    (found,) = json.loads(ran.stdout)
    return {
        key: value
        for key, value in found.items()
        if ":" in key and key.split(":")[0] not in OF_THE_FILE and key.split(":")[1] not in OF_TIFF
    }


def rich_photo(path) -> None:
    """Tags of many groups, written by ExifTool itself."""
    Image.fromarray(scene()).save(path, exif=exif_of_a_camera(), icc_profile=SRGB, xmp=XMP)
    words = ["exiftool", "-q", "-overwrite_original"]
    words += [
        "-EXIF:Artist=A. Name",
        "-EXIF:Copyright=C",
        "-EXIF:LensModel=50 mm",
        "-EXIF:FNumber=2.8",
        "-EXIF:ISO=400",
    ]
    words += ["-EXIF:UserComment=Grüße", "-EXIF:OffsetTimeOriginal=+02:00", "-EXIF:SubSecTimeOriginal=12"]
    words += ["-EXIF:XPTitle=Title", "-EXIF:Rating=4", "-EXIF:ImageDescription=A view", "-GPS:GPSAltitude=500"]
    words += [
        "-XMP:Rating=4",
        "-XMP:Creator=A. Name",
        "-XMP:Subject=lake",
        "-XMP:Subject=blurry",
        "-XMP-photoshop:City=Ulm",
    ]
    words += ["-InteropIndex=R98", "-ColorSpace=1"]
    subprocess.run([*words, str(path)], check=True, timeout=60)


@SUFFIXES
def test_every_tag_but_the_orientation_is_as_before(tmp_path, suffix):
    pytest.importorskip("pillow_heif")
    rich_photo(tmp_path / "in.jpg")
    write_photo(read_photo(tmp_path / "in.jpg"), tmp_path / f"out{suffix}")
    before, after = tags(tmp_path / "in.jpg"), tags(tmp_path / f"out{suffix}")
    assert before.pop("IFD0:Orientation") == 6
    assert after.pop("IFD0:Orientation", 1) == 1
    assert len(before) > 40
    assert {key: (value, after.get(key)) for key, value in before.items() if after.get(key) != value} == {}
    assert set(after) <= set(before)


@SUFFIXES
def test_no_tag_of_the_place_is_left(tmp_path, suffix):
    pytest.importorskip("pillow_heif")
    rich_photo(tmp_path / "in.jpg")
    write_photo(without_gps(read_photo(tmp_path / "in.jpg")), tmp_path / f"out{suffix}")
    before, after = tags(tmp_path / "in.jpg"), tags(tmp_path / f"out{suffix}")
    assert [key for key in after if "GPS" in key] == []
    lost = {key for key in before if key not in after and key != "IFD0:Orientation"}
    assert lost == {key for key in before if "GPS" in key}
    assert len(lost) >= 6


def test_ours_is_read_as_iptc_means_it(tmp_path):
    rich_photo(tmp_path / "in.jpg")
    for suffix in (".jpg", ".png"):
        write_photo(
            read_photo(tmp_path / "in.jpg"),
            tmp_path / f"out{suffix}",
            receipt_for=lambda samples: '{"a":1}',
            source_type="compositeWithTrainedAlgorithmicMedia",
        )
        found = tags(tmp_path / f"out{suffix}")
        assert found["XMP-iptcExt:DigitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
        if suffix == ".jpg":
            assert found["XMP-resharp:Receipt"] == '{"a":1}'


def notes_with_offsets() -> bytes:
    """An EXIF block with a maker's notes whose values lie at offsets from the beginning of the block (Panasonic's)."""

    def directory(*entries: tuple[int, int, int, int]) -> bytes:
        packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        return struct.pack("<H", len(entries)) + packed + bytes(4)

    make = b"Panasonic\0"
    exif_at = 8 + 2 + 12 * 3 + 4 + len(make)
    notes_at = exif_at + 2 + 12 + 4
    serial_at = notes_at + 12 + 2 + 12 + 4
    serial = b"F04901010001\0\0\0\0"
    notes = b"Panasonic\0\0\0" + directory((0x25, 7, len(serial), serial_at)) + serial
    first = directory((0x010F, 2, len(make), exif_at - len(make)), (0x0112, 3, 1, 6), (0x8769, 4, 1, exif_at))
    return b"II*\0\x08\0\0\0" + first + make + directory((0x927C, 7, len(notes), notes_at)) + notes


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".heic", ".avif"])
def test_maker_notes_with_offsets_are_still_understood(tmp_path, suffix):
    pytest.importorskip("pillow_heif")
    Image.fromarray(scene()).save(tmp_path / "in.jpg", exif=b"Exif\0\0" + notes_with_offsets())
    assert "0001" in str(tags(tmp_path / "in.jpg")["Panasonic:InternalSerialNumber"])
    write_photo(without_gps(read_photo(tmp_path / "in.jpg")), tmp_path / f"out{suffix}")
    found = tags(tmp_path / f"out{suffix}")
    assert found["Panasonic:InternalSerialNumber"] == tags(tmp_path / "in.jpg")["Panasonic:InternalSerialNumber"]
