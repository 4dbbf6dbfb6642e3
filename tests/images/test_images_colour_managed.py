"""Wide-gamut pictures look the same afterwards, however their file states its colours."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from resharp.errors import ImageError
from resharp.images.primaries import SRGB_PRIMARIES, profile_of_numbers, rgb_profile
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo
from sample_photos import scene

P3 = profile_of_numbers(12, 13)
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), (0.3127, 0.3290))
LAB = ImageCms.createProfile("LAB")


def lab(values: np.ndarray, icc: bytes | None) -> np.ndarray:
    """(H, W, 3) uint8 in the space of a profile, sRGB without one, as (H, W, 3) L*, a*, b*."""
    source = ImageCms.createProfile("sRGB") if icc is None else ImageCms.ImageCmsProfile(io.BytesIO(icc))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    stored = np.asarray(ImageCms.profileToProfile(Image.fromarray(values), source, LAB, intent, outputMode="LAB"))
    return np.dstack([stored[:, :, 0] * (100 / 255), stored[:, :, 1:].astype(np.int8)])


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """The largest CIE76 difference."""
    return float(np.sqrt(np.square(first - second).sum(axis=2)).max())


def stored(path) -> tuple[np.ndarray, bytes | None]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.info.get("icc_profile")


def test_display_p3_is_what_its_definition_says():
    profile = ImageCms.ImageCmsProfile(io.BytesIO(P3))
    assert profile.profile.profile_description == "Display P3"
    # The columns published with SMPTE EG 432-1's primaries and D65, adapted to D50.
    xyz = np.array(
        [profile.profile.red_colorant[0], profile.profile.green_colorant[0], profile.profile.blue_colorant[0]]
    )
    assert xyz == pytest.approx(
        np.array([[0.5151, 0.2412, -0.0011], [0.2920, 0.6922, 0.0419], [0.1571, 0.0666, 0.7841]]), abs=2e-4
    )
    srgb = ImageCms.createProfile("sRGB")
    red = Image.new("RGB", (1, 1), (234, 51, 35))  # sRGB's red in Display P3
    assert ImageCms.profileToProfile(red, profile, srgb).getpixel((0, 0)) == (255, 0, 0)


def test_srgb_from_its_primaries_is_srgb(rng):
    own = ImageCms.ImageCmsProfile(io.BytesIO(rgb_profile(SRGB_PRIMARIES, None, "own")))
    values = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    through = ImageCms.profileToProfile(Image.fromarray(values), own, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(through).astype(int) - values).max() <= 1


@pytest.mark.parametrize("transfer", [1, 2, 6, 13])
def test_ordinary_numbers_need_no_profile(transfer):
    assert profile_of_numbers(1, transfer) is None
    assert profile_of_numbers(2, transfer) is None


@pytest.mark.parametrize(
    "points", [((0.3, 0.3),) * 4, ((0, 0),) * 4, ((2, -1), (0.3, 0.6), (0.15, 0.06), (0.31, 0.33))]
)
def test_primaries_that_span_nothing(points):
    with pytest.raises(ValueError, match="primaries|diagram"):
        rgb_profile(points, None, "none")


@pytest.mark.parametrize(
    ("suffix", "bound"), [(".png", 0), (".tif", 0), (".bmp", 3), (".jpg", 6), (".webp", 12), (".heic", 6), (".avif", 8)]
)
def test_a_p3_picture_looks_the_same_in_every_format(tmp_path, suffix, bound):
    pytest.importorskip("pillow_heif")
    # Colours that sRGB has too, so that BMP, which has no place for a profile, can hold them.
    values = (scene() // 3 + 80).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "in.png", icc_profile=P3)
    write_photo(read_photo(tmp_path / "in.png"), tmp_path / f"out{suffix}")
    found, icc = stored(tmp_path / f"out{suffix}")
    assert (icc == P3) == (suffix != ".bmp")
    looks = lab(values, P3)
    assert apart(lab(found, icc), looks) <= bound
    assert apart(lab(values, None), looks) > 5  # what comes of a profile that is lost


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(path, *chunks: bytes) -> None:
    buffer = io.BytesIO()
    Image.fromarray(scene()).save(buffer, "PNG")
    data = buffer.getvalue()
    path.write_bytes(data[:33] + b"".join(chunks) + data[33:])  # behind the header


def primaries_chunk(points) -> bytes:
    ordered = [points[3], *points[:3]]
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100000) for point in ordered for value in point)))


GAMMA = chunk(b"gAMA", struct.pack(">I", 45455))


def test_png_that_states_its_space_by_number(tmp_path):
    png_with(tmp_path / "in.png", chunk(b"cICP", bytes([12, 13, 0, 1])))
    assert read_photo(tmp_path / "in.png").meta.icc == P3


def test_png_that_states_gamma_and_primaries(tmp_path):
    png_with(tmp_path / "in.png", GAMMA, primaries_chunk(ADOBE))
    icc = read_photo(tmp_path / "in.png").meta.icc
    expected = rgb_profile(ADOBE, None, "stated by the file")
    assert apart(lab(scene(), icc), lab(scene(), expected)) <= 1
    png_with(tmp_path / "linear.png", chunk(b"gAMA", struct.pack(">I", 100000)))
    linear = rgb_profile(SRGB_PRIMARIES, 1.0, "linear")
    assert apart(lab(scene(), read_photo(tmp_path / "linear.png").meta.icc), lab(scene(), linear)) <= 1


@pytest.mark.parametrize(
    "chunks",
    [
        (),
        (GAMMA,),
        (GAMMA, primaries_chunk(SRGB_PRIMARIES)),
        (chunk(b"sRGB", b"\0"), GAMMA, primaries_chunk(ADOBE)),  # sRGB overrules, as the format says
        (chunk(b"cHRM", bytes(32)),),
        (chunk(b"gAMA", bytes(4)),),
        (chunk(b"cICP", bytes([1, 13, 0, 1])),),
    ],
)
def test_png_that_is_srgb_or_states_nonsense_has_no_profile(tmp_path, chunks):
    png_with(tmp_path / "in.png", *chunks)
    assert read_photo(tmp_path / "in.png").meta.icc is None


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused(tmp_path, transfer, name):
    png_with(tmp_path / "in.png", chunk(b"cICP", bytes([9, transfer, 0, 1])))
    with pytest.raises(ImageError, match=rf"is an HDR picture \({name}\); export it as an ordinary"):
        read_photo(tmp_path / "in.png")


def test_heic_that_states_its_space_by_number(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    made = heif.from_pillow(Image.fromarray(scene()))
    made.save(tmp_path / "in.heic", color_primaries=12, transfer_characteristics=13)
    assert read_photo(tmp_path / "in.heic").meta.icc == P3
    made.save(tmp_path / "hdr.heic", color_primaries=9, transfer_characteristics=16)
    with pytest.raises(ImageError, match="HDR"):
        read_photo(tmp_path / "hdr.heic")


def test_avif_that_states_its_space_by_number(tmp_path):
    pytest.importorskip("PIL._avif")
    Image.fromarray(scene()).save(tmp_path / "in.avif")
    data = bytearray((tmp_path / "in.avif").read_bytes())
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", 12, 13)
    (tmp_path / "in.avif").write_bytes(data)
    assert read_photo(tmp_path / "in.avif").meta.icc == P3
