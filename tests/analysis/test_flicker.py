"""Flicker against closed forms, and shared noise against independent noise."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from clips import moving, write_clip
from resharp.analysis.flicker import clip_frames, drifting, measure_flicker, ways
from resharp.cli.main import run
from resharp.diffusion.presets import Defaults
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, DataError
from resharp.pipeline import DeblurPipeline


def scene(height: int = 40, width: int = 48) -> torch.Tensor:
    """Smooth waves, (1, 3, H, W)."""
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    planes = [0.5 + 0.3 * torch.sin(across / 4.0), 0.5 + 0.3 * torch.cos(down / 5.0), (across + down) / 100.0]
    return torch.stack(planes)[None]


@pytest.fixture
def pipeline(tiny_model):
    return DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="diffusion", steps=2))


def test_a_result_that_alternates():
    """Results y + a, y - a, y + a, ... : changes of 2a, and a deviation of a, but for the sample's n - 1."""
    y, a = scene(), 3 / 255
    found = measure_flicker("x", [y] * 6, lambda frame, t: frame + (a if t % 2 == 0 else -a))
    assert found.clip_change == 0
    assert found.result_change == pytest.approx(6, abs=1e-3)
    assert found.excess == pytest.approx(6, abs=1e-3)
    assert found.added_deviation == pytest.approx(3 * (6 / 5) ** 0.5, abs=1e-3)


def test_a_clip_that_changes_by_itself():
    """A ramp in time, passed through: no excess and nothing added; halved, half of its change is missing."""
    frames = [torch.full((1, 3, 8, 8), 0.2 + 0.1 * t) for t in range(4)]
    same = measure_flicker("x", frames, lambda frame, t: frame)
    assert same.clip_change == pytest.approx(25.5, abs=1e-3)
    assert same.excess == pytest.approx(0, abs=1e-6)
    assert same.added_deviation == pytest.approx(0, abs=1e-6)
    halved = measure_flicker("x", frames, lambda frame, t: frame / 2)
    assert halved.excess == pytest.approx(-12.75, abs=1e-3)
    with pytest.raises(DataError, match="at least two frames"):
        measure_flicker("x", frames[:1], lambda frame, t: frame)


def test_shared_noise_flickers_less(pipeline):
    found = {}
    for drift in (0.0, 0.25):
        for way, restore in ways(pipeline, None, seed=1):
            found[drift, way] = measure_flicker(way, drifting(scene(), 5, 32, drift), restore)
    assert found[0.0, "predictor"].added_deviation == pytest.approx(0, abs=1e-4)
    assert found[0.0, "diffusion, shared noise"].result_change == 0
    for drift in (0.0, 0.25):
        shared, independent = (found[drift, f"diffusion, {each} noise"] for each in ("shared", "independent"))
        assert shared.excess < independent.excess - 0.1
        assert shared.added_deviation < 0.5 * independent.added_deviation


def test_drift_is_what_it_says():
    """Of a linear ramp, every view is the ramp moved; whole pixels move samples and change none."""
    across = (torch.arange(80) / 100.0).expand(1, 3, 60, 80).contiguous()
    views = list(drifting(across, 4, 20, 0.5))
    assert views[0].shape == (1, 3, 20, 20)
    for t, view in enumerate(views):
        assert torch.allclose(view - views[0], torch.full_like(view, 0.005 * t), atol=1.1 / 255)
    photo = (torch.rand(1, 3, 60, 80, generator=torch.Generator().manual_seed(0)) * 255).round() / 255
    first, second = drifting(photo, 2, 0, 2.0)
    assert torch.allclose(first[..., 1:, 2:], second[..., :-1, :-2], atol=1e-6)
    assert torch.equal(*drifting(photo, 2, 32, 0.0))
    with pytest.raises(ConfigError, match="too small"):
        list(drifting(photo, 100, 0, 1.0))


def test_frames_of_videos_folders_and_photos(tmp_path):
    pixels = moving(5)
    options = {"codec": "ffv1", "format": "bgr0", "options": {}, "audio": None, "colours": (2, 2, 0, 0), "rotation": 0}
    video = write_clip(tmp_path / "a.mkv", pixels, **options)
    (tmp_path / "in").mkdir()
    for i, frame in enumerate(pixels):
        Image.fromarray(frame).save(tmp_path / "in" / f"{i}.png")
    for path in (video, tmp_path / "in"):
        found = list(clip_frames(path, 3, 0, 0.0))
        assert np.array_equal(torch.cat(found).permute(0, 2, 3, 1).mul(255).round().byte().numpy(), pixels[:3])
    assert next(clip_frames(video, 3, 16, 0.0)).shape == (1, 3, 16, 16)
    assert len(list(clip_frames(tmp_path / "in" / "0.png", 3, 16, 0.5))) == 3
    (tmp_path / "in" / "b").mkdir()
    with pytest.raises(DataError):
        next(clip_frames(tmp_path / "none", 3, 16, 0.0))


def test_command(pipeline, tmp_path, capsys):
    pipeline.save_pretrained(tmp_path / "model")
    Image.fromarray(moving(1)[0]).save(tmp_path / "a.png")
    words = ["analyze", "flicker", str(tmp_path / "a.png"), "--model", str(tmp_path / "model"), "--frames", "3"]
    assert run([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [row["way"] for row in answer["ways"]][1:] == ["diffusion, shared noise", "diffusion, independent noise"]
    assert answer["ways"][1]["result_change"] == 0 < answer["ways"][2]["result_change"]
    assert run(words) == 0
    assert capsys.readouterr().out.count("\n| ") == 3
    assert run([*words[:2], str(tmp_path / "none.mp4")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
