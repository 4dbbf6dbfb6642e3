"""`resharp analyze domain-distance`: files, table, and what it refuses. The feature network is a tiny one."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch.nn.functional as F
from PIL import Image
from torch import nn

from resharp.analysis import domain_networks as networks


class Quadrants(nn.Module):
    """(N, 3, h, w) -> (N, 4)."""

    def forward(self, patches):
        return F.adaptive_avg_pool2d(patches[:, :1], 2).flatten(1)


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """EfficientNet's weights are "there", Inception's are not."""
    path = tmp_path / "weights.pth"
    monkeypatch.setattr(networks, "find_weights", lambda b, _: path if b is networks.EFFICIENTNET else None)
    monkeypatch.setattr(networks, "check_weights", lambda *_: "0123456789")
    monkeypatch.setattr(networks, "load_efficientnet", lambda _: Quadrants())
    monkeypatch.setattr(networks, "SIDE_PX", 16)
    monkeypatch.setitem(networks.WIDTHS, "efficientnet", 4)


@pytest.fixture
def folders(tmp_path):
    for name, low in (("a", 20), ("b", 90)):
        (tmp_path / name).mkdir()
        for i in range(3):
            pixels = np.random.default_rng(i).integers(low, 160, size=(64, 96, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    return tmp_path / "a", tmp_path / "b"


def test_files_say_what_was_measured(resharp, model, folders, stand_in, tmp_path):
    words = ("analyze", "domain-distance", *folders, "--model", model, "--patch", 16)
    ran = resharp(*words, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert ran.out.strip() == (tmp_path / "out" / "domain_distance.md").read_text().strip()
    rows = [line for line in ran.out.splitlines() if line.startswith("| x2")]
    assert len(rows) == 3
    assert all(row.split(" | ")[2:4] == ["-", "-"] for row in rows)  # FID and KID
    assert "FID and KID (x1000): no Inception of 2015-12-05 weights; run: curl " in ran.out
    assert "72 of 3 photos in A and 72 of 3 photos in B" in ran.out
    with (tmp_path / "out" / "domain_distance.csv").open() as file:
        values = list(csv.DictReader(file))
    assert [value["figure"] for value in values] == ["frechet", "kernel"]
    assert float(values[0]["phi"]) > 0.01
    again = resharp(*words, "--out", tmp_path / "out")
    assert "--overwrite" in again.line


def test_json_is_the_same_for_the_same_seed(resharp, model, folders, stand_in, tmp_path):
    words = ("analyze", "domain-distance", *folders, "--model", model, "--patch", 16, "--most", 60, "--json")
    found = [
        json.loads(resharp(*words, "--seed", seed, "--out", tmp_path / "out", "--overwrite").out) for seed in (0, 0, 1)
    ]
    assert found[0]["patches"] == [60, 60]
    assert found[0]["distances"] == found[1]["distances"] != found[2]["distances"]
    assert list(found[0]["absent"]) == ["inception"]
    assert "SHA-256 01234567" in found[0]["networks"]["efficientnet"]
    limited = json.loads(resharp(*words, "--limit", 2, "--patch", 8, "--out", tmp_path / "two").out)
    assert limited["photos"] == [2, 2]


def test_with_inceptions_weights_the_columns_are_full(resharp, model, folders, stand_in, monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "find_weights", lambda *_: tmp_path / "weights.pth")
    monkeypatch.setattr(networks, "load_inception", lambda _: Quadrants())
    monkeypatch.setitem(networks.WIDTHS, "inception", 4)
    words = ("analyze", "domain-distance", *folders, "--model", model, "--patch", 16, "--out", tmp_path / "out")
    found = json.loads(resharp(*words, "--json").out)
    assert [each["title"] for each in found["distances"]][:2] == ["FID", "KID (x1000)"]
    assert found["absent"] == {}
    table = (tmp_path / "out" / "domain_distance.md").read_text()
    assert "| x8 | paper | 49.684 -> 44.649 | 4.91 -> 4.70 | - | - |" in table
    only = json.loads(resharp(*words, "--json", "--overwrite", "--features", "inception").out)
    assert only["distances"] == found["distances"][:2]


def test_refusals_leave_nothing(resharp, model, folders, stand_in, tmp_path, files):
    before = files()
    words = ("analyze", "domain-distance", *folders, "--model", model, "--out", tmp_path / "out")
    assert "smaller than a patch" in resharp(*words).line
    assert "at least 50 are needed" in resharp(*words, "--patch", 32).line
    assert "no Inception" in resharp(*words, "--patch", 16, "--features", "inception").line.replace("\n", " ")
    assert "choose from" in resharp(*words, "--patch", 16, "--features", "vgg").line
    assert "allowed: multiples of 2 from 8" in resharp(*words, "--patch", 7).line
    assert "no such file" in resharp(words[0], words[1], tmp_path / "c", folders[0], *words[4:]).line
    assert files() == before
