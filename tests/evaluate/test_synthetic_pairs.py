"""Sharp photos blurred by training's synthesiser, and pairs cut to their middle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.data.blur_config import BlurConfig
from resharp.data.synthetic import BlurSynthesiser
from resharp.errors import ConfigError, DataError, ImageError
from resharp.evaluate.centre import CentrePair, centre_crop
from resharp.evaluate.pairs import FilePair
from resharp.evaluate.synthetic_pairs import in_domain_pairs
from runs import BLUR, rectangles, save

MARGIN_PX = BlurSynthesiser(BLUR).margin_px
NOTHING = BlurConfig(
    still_share=1.0,
    extent_max_px=0.0,
    turn_max_px=0.0,
    noise_free_share=1.0,
    **dict.fromkeys(("jpeg_share", "highlight_share", "parallax_share", "shutter_share", "night_share"), 0.0),
    **dict.fromkeys(("defocus_share", "enlarge_share", "sharpen_share"), 0.0),
)


@pytest.fixture
def photos(tmp_path):
    for name, pixels in zip("abc", rectangles(3, 120), strict=True):
        save(pixels, tmp_path / "photos" / f"{name}.png")
    return tmp_path / "photos"


def load_all(folder, **options) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {pair.name: pair.load() for pair in in_domain_pairs(folder, BLUR, side_px=64, **options)}


def test_the_same_pairs_whoever_asks(photos):
    first = load_all(photos)
    (photos / "a.png").unlink()
    again = load_all(photos)
    assert list(first) == ["a", "b", "c"]
    assert list(again) == ["b", "c"]
    for name, (blurry, sharp) in again.items():
        assert blurry.shape == sharp.shape == (1, 3, 64, 64)
        assert torch.equal(blurry, first[name][0])
        assert torch.equal(sharp, first[name][1])
    other = load_all(photos, seed=1)
    assert not torch.equal(other["b"][0], first["b"][0])


def test_every_picture_is_blurred(photos):
    for pair in in_domain_pairs(photos, replace(BLUR, still_share=1.0), side_px=64):
        blurry, sharp = pair.load()
        assert (blurry - sharp).square().mean() > 1e-4


def test_sharp_is_the_middle_of_the_photo(photos):
    """Where the synthesiser does nothing, the blurry picture is the sharp one."""
    pixels = np.asarray(Image.open(photos / "a.png"), dtype=np.float32).transpose(2, 0, 1) / 255
    blurry, sharp = in_domain_pairs(photos, NOTHING, side_px=40)[0].load()
    np.testing.assert_allclose(sharp[0].numpy(), pixels[:, 40:80, 40:80], atol=1e-6)
    np.testing.assert_allclose(blurry.numpy(), sharp.numpy(), atol=1e-6)


def test_small_photos_give_what_they_have(photos, tmp_path):
    save(rectangles(1, 40 + 2 * MARGIN_PX)[0], tmp_path / "one" / "d.png")
    blurry, sharp = in_domain_pairs(tmp_path / "one", BLUR)[0].load()
    assert blurry.shape == sharp.shape == (1, 3, 40, 40)


def test_what_is_refused(photos, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no photos in this folder"):
        in_domain_pairs(tmp_path / "none", BLUR)
    with pytest.raises(ConfigError, match="side_px is 16"):
        in_domain_pairs(photos, BLUR, side_px=16)
    with pytest.raises(ConfigError, match="seed -1"):
        in_domain_pairs(photos, BLUR, seed=-1)
    save(rectangles(1, 31 + 2 * MARGIN_PX)[0], photos / "small.png")
    needed = 32 + 2 * MARGIN_PX
    with pytest.raises(DataError, match=rf"small.png: {needed - 1} px on its shorter side; this blur needs {needed}"):
        in_domain_pairs(photos, BLUR)
    (photos / "small.png").write_text("no picture")
    with pytest.raises(ImageError, match="small.png"):
        in_domain_pairs(photos, BLUR)


def test_the_middle_of_a_pair(photos):
    whole = FilePair("a", photos / "a.png", photos / "b.png")
    blurry, sharp = whole.load()
    cut = CentrePair(whole, 50).load()
    assert torch.equal(cut[0], blurry[..., 35:85, 35:85])
    assert torch.equal(cut[1], sharp[..., 35:85, 35:85])
    assert torch.equal(CentrePair(whole, 500).load()[0], blurry)
    assert CentrePair(whole, 50).name == "a"


def test_centre_crop_leaves_short_sides_alone():
    image = torch.arange(35).reshape(1, 1, 5, 7)
    assert centre_crop(image, 3, 9).tolist() == image[..., 1:4, :].tolist()
