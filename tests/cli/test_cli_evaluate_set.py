"""`resharp evaluate --data`: models and peers restore a test set; what is made is scored, and kept."""

from __future__ import annotations

import hashlib
import json
import stat
import sys

import numpy as np
import pytest
from PIL import Image


def picture(path, seed, size=(24, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def gopro(tmp_path):
    for clip in ("GOPR0384_11_00", "GOPR0385_11_01"):
        for frame in (1, 2):
            seed = int(clip[7]) * 10 + frame
            for part, add in (("blur", 100), ("blur_gamma", 200), ("sharp", 0)):
                picture(tmp_path / f"gopro/test/{clip}/{part}/{frame:06}.png", seed + add)
    return tmp_path


def report(folder):
    return json.loads((folder / "evaluate.json").read_text())


def psnr(folder):
    return {method: columns[0]["mean"] for method, columns in report(folder)["results"].items()}


def test_a_model_restores_the_set_and_stands_beside_its_input(resharp, gopro):
    out = gopro / "out"
    call = ["evaluate", "--data", f"gopro:{gopro / 'gopro'}", "--metrics", "psnr", "--out", out]
    assert resharp(*call, "--model", "default").code == 0
    assert list(psnr(out)) == ["input", "default"]
    made = sorted((out / "restored").rglob("*.png"))
    assert [path.parent.name for path in made] == ["GOPR0384_11_00"] * 2 + ["GOPR0385_11_01"] * 2
    sharp = np.asarray(Image.open(gopro / "gopro/test/GOPR0384_11_00/sharp/000001.png"), dtype=np.float64)
    error = ((np.asarray(Image.open(made[0]), dtype=np.float64) - sharp) ** 2).mean()
    scores = report(out)["results"]["default"][0]["per_image"]
    assert scores["GOPR0384_11_00/000001"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-4)
    # The sets differ, so published figures must not stand beside these four images.
    assert report(out)["published"] == []
    assert "1111 official test images and 4 are measured" in (out / "evaluate.md").read_text()


def test_what_is_restored_is_not_restored_again(resharp, gopro):
    out = gopro / "out"
    call = ["evaluate", "--data", f"gopro:{gopro / 'gopro'}", "--metrics", "psnr", "--out", out, "--limit", "2"]
    assert resharp(*call).code == 0
    first = {path: path.stat().st_mtime_ns for path in (out / "restored").rglob("*.png")}
    assert len(first) == 2
    next(iter(first)).write_bytes(b"broken")
    assert resharp(*call, "--overwrite").code == 0
    again = {path: path.stat().st_mtime_ns for path in (out / "restored").rglob("*.png")}
    assert sum(first[path] != again[path] for path in first) == 1
    # Another set of settings is another folder, not the same pictures under another name.
    assert resharp(*call, "--overwrite", "--part", "diffusion", "--steps", "1").code == 0
    assert len(list((out / "restored").rglob("*.png"))) == 4


def test_a_peers_folder_stands_in_the_same_table(resharp, gopro):
    for clip in ("GOPR0384_11_00", "GOPR0385_11_01"):
        for frame in (1, 2):
            picture(gopro / f"peer/{clip}/{frame:06}.png", int(clip[7]) * 10 + frame)
    out = gopro / "out"
    call = ["evaluate", "--data", f"gopro:{gopro / 'gopro'}", "--metrics", "psnr", "--out", out]
    assert resharp(*call, "--peer", f"folder:{gopro / 'peer'}").code == 0
    assert psnr(out)["peer"] == 100
    assert list(psnr(out)) == ["input", "peer"]


# Speaks the worker's language without spandrel: it inverts the picture.
INVERTING = """#!{python}
import json, os, sys
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
print(json.dumps({{"architecture": "Inverter", "versions": "none"}}))
for done, job in enumerate(json.load(open(sys.argv[3])), 1):
    about = PngInfo(); about.add_text("resharp:peer", job["tag"])
    os.makedirs(os.path.dirname(job["output"]), exist_ok=True)
    ImageOps.invert(Image.open(job["input"])).save(job["output"], pnginfo=about)
    print(json.dumps({{"done": done}}), flush=True)
"""


def program(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_network_of_another_process_is_a_peer(resharp, gopro):
    (gopro / "net.pth").write_bytes(b"weights")
    python = program(gopro / "python", INVERTING.format(python=sys.executable))
    out = gopro / "out"
    call = ["evaluate", "--data", f"gopro:{gopro / 'gopro'}", "--metrics", "psnr", "--out", out]
    done = resharp(*call, "--peer", f"spandrel:{gopro / 'net.pth'}", "--peer-python", python)
    assert done.code == 0, done.err
    blurry = np.asarray(Image.open(gopro / "gopro/test/GOPR0384_11_00/blur/000001.png"))
    digits = hashlib.sha256(b"weights").hexdigest()[:8]
    made = np.asarray(Image.open(out / f"restored/net-{digits}/GOPR0384_11_00/000001.png"))
    assert (made == 255 - blurry).all()
    assert report(out)["methods"]["net"]["network"] == "Inverter"


def test_a_python_without_spandrel_is_told(resharp, gopro):
    (gopro / "net.pth").write_bytes(b"weights")
    python = program(gopro / "python", '#!/bin/sh\necho \'{"error": "has no spandrel"}\'\n')
    call = ["evaluate", "--data", f"gopro:{gopro / 'gopro'}", "--metrics", "psnr", "--out", gopro / "out"]
    done = resharp(*call, "--peer", f"spandrel:{gopro / 'net.pth'}", "--peer-python", python)
    assert done.code != 0
    assert "has no spandrel; make an environment that has" in done.line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--data", "gopro"], "expected KIND:PATH"),
        (["--data", "hide:{root}/gopro"], "looks like GOPRO_Large"),
        (["--data", "gopro:{root}/nowhere"], "nowhere"),
        (["--data", "gopro:{root}/gopro", "--limit", "0"], "allowed: 1 or more"),
        (["--data", "gopro:{root}/gopro", "--peer", "folder:{root}/empty"], "no such folder"),
        (["--data", "gopro:{root}/gopro", "--peer", "spandrel:{root}/no.pth"], "no such checkpoint"),
        (["--data", "gopro:{root}/gopro", "--published", "gopro"], "--published is for RESTORED and SHARP"),
        (["--data", "gopro:{root}/gopro", "--model", "{root}/none"], "none"),
        (["{root}/gopro"], "nothing to evaluate"),
        (["{root}/a", "{root}/b", "--steps", "3"], "--steps is for test sets"),
    ],
)
def test_bad_input_is_one_line(resharp, gopro, options, says):
    words = [word.format(root=gopro) for word in options]
    done = resharp("evaluate", *words, "--metrics", "psnr", "--out", gopro / "out")
    assert done.code != 0
    assert says in done.line
    assert not (gopro / "out" / "evaluate.json").exists()
