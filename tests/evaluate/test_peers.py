"""Peers by their words, and the process in which spandrel runs, with a made-up `spandrel` in its place."""

from __future__ import annotations

import os
import stat
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.errors import ConfigError, ModelError
from resharp.evaluate.peers import FolderPeer, check_spandrel, folder_pictures, peers_of, run_spandrel
from resharp.evaluate.photo_sets import open_photo_set
from resharp.evaluate.spandrel_process import SpandrelPeer

# Loads a torch file {"does": WORD}: what spandrel would be for the worker, with networks that can be calculated.
FAKE = """
import torch

__version__ = "0.0"


class UnsupportedModelError(Exception):
    pass


class Architecture:
    name = "Made up"


class ImageModelDescriptor:
    architecture = Architecture()
    input_channels = output_channels = 3
    scale = 1

    def __init__(self, does):
        self.does = does
        if does == "gray":
            self.input_channels = self.output_channels = 1
        if does == "four times":
            self.scale = 4

    def to(self, device):
        return self

    def float(self):
        return self

    def eval(self):
        return self

    def __call__(self, image):
        assert image.shape[:2] == (1, 3) and 0 <= image.min() and image.max() <= 1
        if self.does == "nan":
            return image * float("nan")
        if self.does == "smaller":
            return image[..., 1:, :]
        if self.does == "memory":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        if self.does == "fails":
            raise RuntimeError("shapes do not fit")
        if self.does == "killed":
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.5 * image


class MaskedImageModelDescriptor(ImageModelDescriptor):
    pass


class ModelLoader:
    def load_from_file(self, path):
        does = torch.load(path, weights_only=True)["does"]
        if does == "unknown":
            raise UnsupportedModelError()
        return ImageModelDescriptor(does)
"""


@pytest.fixture
def photo_set(tmp_path):
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name in ("a", "b"):
        for mark in ("blur", "sharp"):
            pixels = np.random.default_rng(len(mark) + ord(name)).integers(0, 256, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}_{mark}.png")
    return open_photo_set(f"pairs:{folder}")


@pytest.fixture
def peer(tmp_path, monkeypatch):
    """A peer whose network does what the word says, in a process of its own."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "spandrel.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def make(does: str) -> SpandrelPeer:
        torch.save({"does": does}, tmp_path / "net.pth")
        return SpandrelPeer("net", tmp_path / "net.pth", sys.executable)

    return make


def test_words_for_peers(tmp_path):
    (tmp_path / "net.pth").write_bytes(b"")
    (tmp_path / "made=here").mkdir()
    words = {
        "maxim=results": ("maxim", "results"),
        "folder:results": ("results", "results"),
        "folder:results=maxim": ("maxim", "results"),
        f"folder:{tmp_path}/made=here": ("made=here", f"{tmp_path}/made=here"),
        f"spandrel:{tmp_path}/net.pth": ("net", f"{tmp_path}/net.pth"),
        f"spandrel:{tmp_path}/net.pth=Restormer": ("Restormer", f"{tmp_path}/net.pth"),
    }
    for word, (name, path) in words.items():
        (peer,) = peers_of([word], None)
        place = peer.folder if isinstance(peer, FolderPeer) else peer.checkpoint
        assert (peer.name, str(place)) == (name, path)
        assert isinstance(peer, FolderPeer) != word.startswith("spandrel")


@pytest.mark.parametrize("word", ["maxim", "=results", "maxim=", "folder:", "spandrel:"])
def test_words_that_are_no_peers(word):
    with pytest.raises(ConfigError, match="expected NAME=FOLDER"):
        peers_of([word], None)


def test_a_missing_checkpoint_or_python_is_named(tmp_path):
    with pytest.raises(ModelError, match="no such checkpoint"):
        peers_of([f"spandrel:{tmp_path}/none.pth"], None)
    (tmp_path / "net.pth").write_bytes(b"")
    with pytest.raises(ConfigError, match="no such program; python -m venv"):
        peers_of([f"spandrel:{tmp_path}/net.pth"], f"{tmp_path}/python")


def test_a_folder_must_have_every_picture_in_its_size(photo_set, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Image.new("RGB", (16, 12)).save(folder / f"{name}.png")
    pictures = folder_pictures(FolderPeer("made", folder), photo_set)
    assert [path.name for path in pictures.files.values()] == ["a.png", "b.png"]
    assert pictures.about == {"pictures": "made elsewhere", "others in the folder, not of this set": 1}


def test_a_network_restores_the_set_in_its_own_process(photo_set, peer, tmp_path):
    told = []
    made = run_spandrel(peer("doubles"), photo_set, tmp_path / "out", "cpu", lambda *words: told.append(words))
    for photo in photo_set.photos:
        blurry = np.asarray(Image.open(photo.blurry)).astype(np.float32) / 255
        expected = np.round(np.clip(np.float32(1.5) * blurry, 0, 1) * 255).astype(np.uint8)
        assert (np.asarray(Image.open(made.files[photo.name])) == expected).all()
    assert told == [("net: restoring", 1, 2, "a"), ("net: restoring", 2, 2, "b")]
    assert made.about["network"] == "Made up"
    assert made.about["made with"] == f"spandrel 0.0, torch {torch.__version__}, cpu"
    assert not list((tmp_path / "out").rglob("*.part"))


def test_what_is_made_already_is_kept_and_the_rest_made(photo_set, peer, tmp_path):
    peer = peer("doubles")
    files = run_spandrel(peer, photo_set, tmp_path / "out", "cpu", None).files
    before = {name: path.stat().st_mtime_ns for name, path in files.items()}
    files["b"].write_bytes(files["b"].read_bytes()[:100])
    told = []
    run_spandrel(peer, photo_set, tmp_path / "out", "cpu", lambda *words: told.append(words))
    assert told == [("net: restoring", 2, 2, "b")]
    assert files["a"].stat().st_mtime_ns == before["a"]
    # Another blurry photo under the same name is another picture.
    Image.new("RGB", (16, 12), (50, 50, 50)).save(photo_set.photos[0].blurry)
    run_spandrel(peer, photo_set, tmp_path / "out", "cpu", None)
    assert np.asarray(Image.open(files["a"])).mean() == 75


def test_another_checkpoint_of_the_same_name_makes_pictures_of_its_own(photo_set, peer, tmp_path):
    first = run_spandrel(peer("doubles"), photo_set, tmp_path / "out", "cpu", None).files["a"]
    second = run_spandrel(peer("doubles too"), photo_set, tmp_path / "out", "cpu", None).files["a"]
    assert first != second
    assert first.is_file()
    assert second.is_file()


@pytest.mark.parametrize("mode", ["L", "I;16", "RGBA"])
def test_all_see_the_same_pixels_whatever_the_file_holds(photo_set, peer, tmp_path, mode):
    blurry = photo_set.photos[0].blurry
    levels = np.random.default_rng(0).integers(0, 160, (12, 16), dtype=np.uint8)
    if mode == "I;16":
        Image.fromarray(levels.astype(np.uint16) * 257).save(blurry)
    elif mode == "L":
        Image.fromarray(levels).save(blurry)
    else:
        Image.fromarray(np.stack([levels, levels, levels, levels], axis=-1)).save(blurry)
    made = run_spandrel(peer("doubles"), photo_set, tmp_path / "out", "cpu", None).files["a"]
    expected = np.round(np.float32(1.5) * (levels.astype(np.float32) / 255) * 255).astype(np.uint8)
    assert (np.asarray(Image.open(made)) == expected[..., None]).all()


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("gray", r"net\.pth: is no network from RGB to RGB of the same size \(Made up, 1 to 1 channels, scale 1\)"),
        ("four times", r"net\.pth: is no network from RGB to RGB of the same size \(Made up, 3 to 3 channels, scale 4"),
        ("unknown", r"net\.pth: cannot be loaded \(no network that spandrel knows; spandrel_extra_arches knows more"),
    ],
)
def test_a_network_that_cannot_do_it_is_refused_before_the_first_picture(peer, does, says):
    with pytest.raises(ModelError, match=says):
        check_spandrel(peer(does), "cpu")


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("nan", r"a_blur\.png: the network gave values that are not finite numbers"),
        ("smaller", r"a_blur\.png: the network gave a picture of another size"),
        ("memory", r"a_blur\.png: not enough memory for 16x12"),
        ("fails", r"ended at .*a_blur\.png before it was done \(RuntimeError: shapes do not fit\)"),
        ("killed", r"ended at .*a_blur\.png before it was done \(killed, as systems do when memory is short"),
    ],
)
def test_a_picture_on_which_it_fails_is_named_and_nothing_is_left(photo_set, peer, tmp_path, does, says):
    with pytest.raises(ModelError, match=says):
        run_spandrel(peer(does), photo_set, tmp_path / "out", "cpu", None)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_damaged_checkpoint_is_refused(peer, tmp_path):
    peer = peer("doubles")
    peer.checkpoint.write_bytes(b"abc")
    with pytest.raises(ModelError, match=r"net\.pth: cannot be loaded"):
        check_spandrel(peer, "cpu")


def test_an_environment_without_spandrel_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "net.pth").write_bytes(b"")
    with pytest.raises(ModelError, match="has no spandrel; make an environment that has"):
        check_spandrel(SpandrelPeer("net", tmp_path / "net.pth", sys.executable), "cpu")


def test_a_torchvision_that_does_not_load_is_helped_along(peer, tmp_path):
    """What torchvision's import does beside another build of torch: it asks for operators that are not there."""
    text = "import torch\ntry:\n    torch.ops.torchvision.nms\nexcept AttributeError:\n"
    text += '    raise RuntimeError("operator torchvision::nms does not exist")\n'
    (tmp_path / "packages" / "torchvision.py").write_text(text)
    path = tmp_path / "packages" / "spandrel.py"
    path.write_text("import torchvision\n" + path.read_text())
    assert check_spandrel(peer("doubles"), "cpu")["architecture"] == "Made up"


def test_a_file_that_is_no_program_is_told(peer, tmp_path):
    peer = peer("doubles")
    script = tmp_path / "python"
    script.write_bytes(b"\x00nothing")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(ModelError, match="python: cannot be run"):
        check_spandrel(SpandrelPeer("net", peer.checkpoint, os.fspath(script)), "cpu")
