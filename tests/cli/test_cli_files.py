"""`resharp deblur` on files with everything in them: what stays, what goes by choice, what is told."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFilter

from resharp.images.primaries import profile_of_numbers
from resharp.images.reading import read_photo
from resharp.images.receipts import read_receipt
from sample_photos import SRGB, XMP, exif_of_a_camera, scene

IPTC = b"\x1c\x02\x05\x00\x07A title"
EVERY = [".jpg", ".png", ".webp", ".tif", ".heic", ".avif"]
VOCABULARY = b"http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.fixture
def rich(tmp_path):
    """A photo with a camera, a place, a profile, a packet, captions and a comment; orientation 6."""
    pytest.importorskip("pillow_heif")
    resource = b"Photoshop 3.0\08BIM\x04\x04\0\0" + len(IPTC).to_bytes(4, "big") + IPTC
    segment = b"\xff\xed" + (len(resource) + 2).to_bytes(2, "big") + resource
    options = {"exif": exif_of_a_camera(), "icc_profile": SRGB, "xmp": XMP, "comment": b"hello", "extra": segment}
    Image.fromarray(scene(48, 40)).save(tmp_path / "in.jpg", **options, dpi=(300, 300))
    return tmp_path / "in.jpg"


def camera(path) -> str:
    found = Image.Exif()
    found.load(read_photo(path).meta.exif)
    return found[0x0110]


@pytest.mark.parametrize("suffix", EVERY)
@pytest.mark.parametrize("strip", [False, True])
def test_all_stays_and_the_place_goes_by_choice(resharp, rich, models, tmp_path, suffix, strip):
    out = tmp_path / f"out{suffix}"
    ran = resharp("deblur", rich, "-o", out, "--model", models["predictor"], "--force", *["--strip-gps"] * strip)
    assert ran.code == 0, ran.err
    meta = read_photo(out).meta
    data = out.read_bytes()
    assert camera(out) == "Model X"
    assert meta.icc == SRGB
    assert b"A title" in meta.xmp
    assert Image.open(out).size == (40, 48)
    assert Image.open(out).getexif().get(0x0112, 1) == 1
    assert (b"48,8.1N" in data) != strip
    has_place = bool(Image.open(out).getexif().get_ifd(0x8825))
    assert has_place != strip
    assert VOCABULARY + b"algorithmicallyEnhanced" in data
    assert json.loads(read_receipt(out))["part"] == "predictor"


@pytest.mark.parametrize(("words", "source"), [(["--steps", 1], "compositeWithTrainedAlgorithmicMedia"), ([], None)])
def test_a_result_says_what_made_it_without_a_receipt_too(resharp, rich, models, tmp_path, words, source):
    out = tmp_path / "out.png"
    model = models["predictor"] if source else models["input"]
    assert resharp("deblur", rich, "-o", out, "--model", model, "--no-receipt", "--force", *words).code == 0
    assert read_receipt(out) is None
    said = source is not None and VOCABULARY + source.encode() in out.read_bytes()
    assert said == (source is not None)
    assert (b"digitalsourcetype" in out.read_bytes()) == (source is not None)  # pixels as they were need no word


def test_a_photo_passed_through_loses_the_place_and_no_pixel(resharp, rich, models, tmp_path):
    assert resharp("deblur", rich, "--model", models["input"], "--strip-gps").code == 0
    out = tmp_path / "in.deblurred.jpg"
    assert np.array_equal(np.asarray(Image.open(rich)), np.asarray(Image.open(out)))
    assert Image.open(out).getexif()[0x0112] == 6
    assert not Image.open(out).getexif().get_ifd(0x8825)
    assert b"48,8.1N" not in out.read_bytes()
    assert Image.open(out).info["photoshop"] == {0x0404: IPTC}


def test_what_a_format_cannot_hold_is_told(resharp, rich, models, tmp_path):
    words = ["deblur", rich, "--model", models["predictor"], "--force"]
    ran = resharp(*words, "-o", tmp_path / "a.webp")
    assert f"{rich}: left out of the result: IPTC captions, texts and comments\n" in ran.err
    answer = json.loads(resharp(*words, "-o", tmp_path / "a.bmp", "--json").out)
    assert answer["results"][0]["dropped"][:2] == ["EXIF", "XMP"]
    assert "left out" not in resharp(*words, "-o", tmp_path / "a.jpg").err


def test_a_motion_photo(resharp, rich, models, tmp_path):
    rich.write_bytes(rich.read_bytes() + b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(500))
    ran = resharp("deblur", rich, "--model", models["predictor"], "--force")
    assert "left out of the result: the motion photo's video" in ran.err
    assert b"ftypmp42" not in (tmp_path / "in.deblurred.jpg").read_bytes()
    copied = resharp("deblur", rich, "--model", models["input"], "--overwrite")
    assert "left out" not in copied.err  # the file itself


def test_16_bits_alpha_palette_and_cmyk(resharp, models, tmp_path):
    deep = scene(48, 40).astype(np.uint16) * 257 + 3
    pixels = deep.astype(np.float32) / 65535
    from resharp.images.photo import Photo, PhotoMeta
    from resharp.images.writing import write_photo

    for suffix in (".png", ".tif"):
        write_photo(Photo(pixels, pixels[:, :, 0], PhotoMeta(bit_depth=16, icc=SRGB)), tmp_path / f"deep{suffix}")
        source = tmp_path / f"deep{suffix}"
        assert resharp("deblur", source, "--model", models["predictor"], "--force").code == 0
        result = read_photo(tmp_path / f"deep.deblurred{suffix}")
        assert result.meta.bit_depth == 16
        assert np.array_equal(result.alpha, read_photo(source).alpha)
        levels = np.unique(np.rint(result.pixels * 65535).astype(int))
        assert np.any(levels % 257 != 0)  # more than 8 bits' worth
    for mode, suffix in (("P", ".png"), ("CMYK", ".jpg"), ("L", ".png"), ("LA", ".png")):
        source = tmp_path / f"{mode}{suffix}"
        Image.fromarray(scene(48, 40)).convert("L" if mode == "LA" else mode).convert(mode).save(source)
        assert resharp("deblur", source, "--model", models["predictor"], "--force").code == 0
        made = Image.open(tmp_path / f"{mode}.deblurred{suffix}").mode
        assert made == {"P": "RGB", "CMYK": "RGB", "L": "L", "LA": "LA"}[mode]


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_modern_files_in_and_out(resharp, rich, models, tmp_path, suffix):
    source = tmp_path / f"photo{suffix}"
    Image.open(rich).save(source, exif=Image.open(rich).getexif(), icc_profile=SRGB)
    assert resharp("deblur", source, "--model", models["predictor"], "--force").code == 0
    out = tmp_path / f"photo.deblurred{suffix}"
    assert Image.open(out).format == {".heic": "HEIF", ".avif": "AVIF"}[suffix]
    assert camera(out) == "Model X"
    verified = resharp("verify", out, "--model", models["predictor"])
    assert verified.code == 0, verified.err + verified.out


def test_raw_is_refused_with_advice(resharp, models, tmp_path):
    (tmp_path / "a.NEF").write_bytes(b"MM\0*" + bytes(100))
    ran = resharp("deblur", tmp_path / "a.NEF", "--model", models["predictor"])
    assert ran.code == 1
    assert "darktable or RawTherapee) and export it as 16-bit TIFF" in ran.line


def lab(image: Image.Image, icc: bytes | None) -> np.ndarray:
    source = ImageCms.createProfile("sRGB") if icc is None else ImageCms.ImageCmsProfile(io.BytesIO(icc))
    lab_ = ImageCms.createProfile("LAB")
    stored = np.asarray(ImageCms.profileToProfile(image.convert("RGB"), source, lab_, outputMode="LAB"))
    return np.dstack([stored[:, :, 0] * (100 / 255), stored[:, :, 1:].astype(np.int8)])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_wide_gamut_photo_keeps_its_look(resharp, tmp_path, suffix):
    """The shipped model on nine flat patches with blurred borders; colours in the middle of each, CIE76."""
    p3 = profile_of_numbers(12, 13)
    colours = np.random.default_rng(5).integers(30, 226, (3, 3, 3), dtype=np.uint8)
    colours[0, 0] = (250, 20, 20)  # outside of sRGB
    patches = Image.fromarray(colours.repeat(48, axis=0).repeat(48, axis=1)).filter(ImageFilter.BoxBlur(4))
    source, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    patches.save(source, icc_profile=p3, **({"quality": 95, "subsampling": 0} if suffix == ".jpg" else {}))
    assert resharp("deblur", source, "-o", out, "--force").code == 0
    with Image.open(source) as before, Image.open(out) as after:
        assert after.info["icc_profile"] == p3
        pairs = lab(before, p3), lab(after, after.info["icc_profile"])
        lost = lab(after, None)
        changed = np.abs(np.asarray(before.convert("RGB")).astype(int) - np.asarray(after.convert("RGB"))).max()
    middles = [np.s_[48 * i + 16 : 48 * i + 32, 48 * j + 16 : 48 * j + 32] for i in range(3) for j in range(3)]
    differences = [float(np.linalg.norm((pairs[1] - pairs[0])[place].mean(axis=(0, 1)))) for place in middles]
    assert changed > 4  # the model did something
    assert max(differences) < 1.5
    assert max(float(np.linalg.norm((lost - pairs[0])[place].mean(axis=(0, 1)))) for place in middles) > 8
