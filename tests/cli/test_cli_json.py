"""`--json` on every command that ends: one object on standard output, and nothing else there."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from PIL import Image

from resharp.cli.main import app

# They serve pages until they are stopped.
SERVERS = {("study", "serve"), ("web",)}


def commands(group, words=()):
    """Every command with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_that_ends_has_json(words):
    options = {option for parameter in COMMANDS[words].params for option in parameter.opts}
    assert ("--json" in options) != (words in SERVERS)


@pytest.fixture
def pairs(tmp_path):
    """Two photos, sharp and with a little noise in place of blur."""
    for i in range(2):
        rng = np.random.default_rng(i)
        sharp = rng.integers(40, 200, size=(64, 64, 3))
        for kind, error in (("sharp", 0), ("blurry", 10)):
            folder = tmp_path / "pairs" / kind
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.clip(sharp + error * rng.choice([-1, 1], size=sharp.shape), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "pairs"


def test_the_curve(resharp, pairs, models, tmp_path):
    words = ["--crop", 32, "--steps", 1, "--samples", 1, "--fidelity", 1, "--seeds", 1, "--device", "cpu"]
    ran = resharp(
        "analyze", "pd-curve", models["diffusion"], "--pairs", pairs, "--out", tmp_path / "out", *words, "--json"
    )
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == json.loads((tmp_path / "out" / "pd_curve.json").read_text())


def test_memorisation(resharp, pairs, models, tmp_path):
    words = ["--training", pairs / "sharp", "--pairs", pairs, "--out", tmp_path / "out", "--crops", 2, "--size", 32]
    ran = resharp("analyze", "memorisation", models["predictor"], *words, "--device", "cpu", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == json.loads((tmp_path / "out" / "memorisation.json").read_text())
