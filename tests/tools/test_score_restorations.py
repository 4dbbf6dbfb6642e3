"""Scores of models of other tasks, on damage made by outside means where there are any."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import score_restorations as tool

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.models.icdpm import ICDPM
from resharp.serialization import Defaults, save_model
from resharp.task import Task
from runs import rectangles, save
from tiny import TINY, awake

TASKS = [Task(("noise",)), Task(("JPEG artefacts",)), Task(("low resolution",), 2), Task(("holes",))]


@pytest.fixture
def folders(tmp_path):
    for i, photo in enumerate(rectangles(2, 66)):
        save(photo, tmp_path / "sharp" / f"{i}.png")

    def made(task: Task) -> tuple[str, str]:
        save_model(tmp_path / "model", awake(ICDPM(TINY)), NoiseSchedule(), Defaults(output="predictor"), task=task)
        return str(tmp_path / "model"), str(tmp_path / "sharp")

    return made


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.restores[0])
def test_a_table_for_every_task(task, folders, capsys):
    model, sharp = folders(task)
    level = 3 if "holes" in task.restores else tool.LEVELS[task.restores[0]]
    tool.main([model, "--sharp", sharp, "--level", str(level)])
    out = capsys.readouterr().out
    assert f"{task.words}, level {level}, 2 photos" in out
    names = re.findall(r"^\| (\w+) \|", out, re.MULTILINE)
    classical = task.restores[0] in ("noise", "holes")
    assert names == ["input", *(["classical"] if classical else []), "model"]


def test_jpeg_is_pillows(folders):
    sharp = rectangles(1, 64)[0][None].float() / 255
    case = tool.damaged(sharp, Task(("JPEG artefacts",)), 30, 0)
    file = io.BytesIO()
    Image.fromarray((sharp[0].permute(1, 2, 0) * 255).byte().numpy()).save(file, "JPEG", quality=30, subsampling=2)
    assert np.array_equal((case.given[0].permute(1, 2, 0) * 255).byte().numpy(), np.asarray(Image.open(file)))


def test_classical_methods_help():
    """Otherwise a model that beats them would have beaten nothing."""
    smooth = torch.nn.functional.interpolate(rectangles(1, 16)[0][None].float() / 255, size=96, mode="bilinear")
    for task, level in ((Task(("noise",)), 25), (Task(("holes",)), 10)):
        case = tool.damaged(smooth, task, level, 0)
        everywhere = torch.ones(1, 1, 1, 1, dtype=torch.bool)
        assert tool.scores(case, case.classical, everywhere)[0] > tool.scores(case, case.shown, everywhere)[0] + 3


def test_psnr_of_holes_is_of_holes_alone():
    sharp = torch.full((1, 3, 32, 32), 0.4)
    mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    mask[..., :4, :4] = True
    restored = torch.where(mask, 0.4 + 51 / 255, sharp)  # wrong by 0.2 in the hole: 14 dB
    case = tool.Case(sharp, sharp, sharp, None)
    assert tool.scores(case, restored, mask)[0] == pytest.approx(-20 * np.log10(0.2), abs=1e-3)


def test_gains_have_the_standard_error_of_their_mean():
    rows = [{"input": (20.0, 0.5), "model": (21.0, 0.6)}, {"input": (30.0, 0.7), "model": (33.0, 0.8)}]
    assert "| model | 27.00 | +2.00 ± 1.00 | 0.7000 | +0.1000 ± 0.0000 |" in tool.table(rows)


def test_holes_must_leave_something(folders):
    with pytest.raises(SystemExit, match="lower --level"):
        tool.main([*folders(TASKS[3])[:1], "--sharp", folders(TASKS[3])[1]])


@pytest.mark.parametrize("task", [Task(), Task(("noise", "holes"))], ids=["blur", "several"])
def test_other_tasks_are_refused(task, folders):
    with pytest.raises(ConfigError, match="one of these alone"):
        tool.damaged(torch.zeros(1, 3, 8, 8), task, 25, 0)
    with pytest.raises(SystemExit, match="one of these alone"):
        tool.main([*folders(task)[:1], "--sharp", folders(task)[1]])
