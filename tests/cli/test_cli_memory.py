"""`resharp deblur --memory`: tiles, what is said of them, and making such a result again."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

WIDTH, HEIGHT = 1000, 700


@pytest.fixture
def blurred(tmp_path):
    """Stripes under motion blur: a photo that is not passed through."""
    across = (np.arange(WIDTH) // 40 % 2 * 160.0 + 40)[None].repeat(HEIGHT, axis=0)
    smooth = np.apply_along_axis(np.convolve, 1, across, np.full(9, 1 / 9), mode="same")
    Image.fromarray(np.rint(smooth).astype(np.uint8)).convert("RGB").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_result_made_in_tiles_is_made_again_in_the_same(resharp, blurred, monkeypatch):
    # As if all that the tests have loaded were not there.
    monkeypatch.setattr("resharp.memory.resident_bytes", lambda: 0)
    done = resharp("deblur", blurred, "--force", "--json", "--memory", "150MB")
    result = json.loads(done.out)["results"][0]
    assert result["tile"] is not None
    assert max(result["tile"]) < WIDTH
    assert result["receipt"]["tile"] == result["tile"]
    again = resharp("verify", blurred.with_name("a.deblurred.png"), "--json")
    assert json.loads(again.out)["verdict"] == "identical"
    whole = resharp("deblur", blurred, "--force", "--json", "-o", blurred.with_name("b.png"))
    assert json.loads(whole.out)["results"][0]["tile"] is None
    tiled, made_whole = (np.asarray(Image.open(blurred.with_name(n))).astype(int) for n in ("a.deblurred.png", "b.png"))
    assert np.abs(tiled - made_whole).max() <= 1
    assert np.abs(made_whole - np.asarray(Image.open(blurred))).max() > 5


@pytest.mark.parametrize(
    ("memory", "words"), [("much", "give an amount such as 2GB"), ("1MB", r"the predictor needs about \d+ MB")]
)
def test_memory_that_cannot_be_kept_to(resharp, blurred, memory, words):
    done = resharp("deblur", blurred, "--force", "--memory", memory)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert re.search(words, done.err)
    assert not blurred.with_name("a.deblurred.png").exists()


@pytest.mark.slow
def test_108_megapixels_in_3_gigabytes(tmp_path):
    """The whole program, its start included; half an hour on a slow core."""
    tile = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8))
    small = tile.resize((300, 300)).resize((1500, 1500), Image.Resampling.BICUBIC)
    photo = Image.new("RGB", (12000, 9000))
    for top in range(0, 9000, 1500):
        for left in range(0, 12000, 1500):
            photo.paste(small, (left, top))
    photo.save(tmp_path / "a.jpg")
    del photo
    code = (
        "import sys; from pathlib import Path; from resharp.cli.main import run; "
        f"sys.argv = ['resharp', 'deblur', {str(tmp_path / 'a.jpg')!r}, '--force', '--memory', '3GB', '--json']; "
        "code = run(); print(Path('/proc/self/status').read_text(), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["results"][0]["tile"] is not None
    peak = next(int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("VmHWM:"))
    assert peak * 1024 < 3e9
    with Image.open(tmp_path / "a.deblurred.jpg") as made:
        assert made.size == (12000, 9000)
