"""The perception-distortion curve against restoring point by point, and going on with one."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from resharp.analysis import pd_curve as module
from resharp.analysis import pd_figure
from resharp.analysis.pd_curve import curve_sets, draws, measure, named, plan, restorations, shared
from resharp.analysis.pd_table import CurveFiles
from resharp.cli.analyze_curve import pd_curve
from resharp.diffusion.presets import Defaults, Preset, Qualities
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, DataError
from resharp.metrics.full_reference import psnr, ssim
from resharp.models.icdpm import ICDPM
from resharp.pipeline import DeblurPipeline
from resharp.serialization import save_model
from tiny import TINY, awake

BEST = Preset(steps=2, samples=3, fidelity=0.25, ensemble=2)
GRID = {"steps": [1, 2], "samples": [1, 3], "fidelities": [0.0, 0.5, 1.0]}


def distance(restored: torch.Tensor, sharp: torch.Tensor) -> torch.Tensor:
    """In the place of LPIPS."""
    return (restored - sharp).abs().mean(dim=(1, 2, 3))


@pytest.fixture
def pipeline(tiny_model) -> DeblurPipeline:
    return DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="predictor", quality=Qualities(best=BEST)))


@pytest.fixture
def direct() -> DeblurPipeline:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = awake(ICDPM(replace(TINY, predictor=None, residual_scale=1.0)))
    return DeblurPipeline(model, NoiseSchedule(), Defaults(steps=2))


@pytest.fixture
def folder(tmp_path):
    """Three real pairs."""
    rng = np.random.default_rng(0)
    place = tmp_path / "pairs"
    place.mkdir()
    for name in "abc":
        sharp = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        blurry = (sharp.astype(float) + np.roll(sharp, 1, axis=1)) / 2
        Image.fromarray(sharp).save(place / f"{name}_sharp.png")
        Image.fromarray(blurry.astype(np.uint8)).save(place / f"{name}_blur.png")
    return place


def points_of(pipeline, folder, wanted, seeds=(0,), crop=32):
    (pairs,) = curve_sets(str(folder), None, crop, None)
    found = measure(pipeline, pairs, wanted, seeds=seeds, lpips=distance, on_image=lambda *_: None)
    return pairs, [point for points in found for point in points]


def asked(settings: Preset) -> dict[str, object]:
    if settings.output != "diffusion":
        return {"output": settings.output, "ensemble": settings.ensemble if settings.ensemble > 1 else None}
    return {name: getattr(settings, name) for name in ("steps", "samples", "sampler", "fidelity")} | {
        "ensemble": settings.ensemble if settings.ensemble > 1 else None
    }


@pytest.mark.parametrize("kind", ["pipeline", "direct"])
def test_points_agree_with_restoring_directly(request, folder, kind):
    pipeline = request.getfixturevalue(kind)
    wanted = plan(pipeline, **{**GRID, "steps": [2]})
    pairs, points = points_of(pipeline, folder, wanted, seeds=(0, 5))
    assert {point.settings for point in points} == set(wanted)
    assert len(points) == len(wanted)
    for point in points:
        scores = {"psnr": [], "ssim": [], "lpips": []}
        before = []
        for pair in pairs.pairs:
            blurry, sharp = pair.load()
            restored = [pipeline.restore(blurry, seed=seed, **asked(point.settings)).image for seed in (0, 5)]
            for metric, of in (("psnr", psnr), ("ssim", ssim)):
                scores[metric].append(np.mean([float(of(image, sharp)) for image in restored]))
            rounded = [image.mul(255).round().div(255) for image in restored]
            scores["lpips"].append(np.mean([float(distance(image, sharp)) for image in rounded]))
            before.append(float(psnr(blurry, sharp)))
        for metric, values in scores.items():
            assert point.scores[metric].mean == pytest.approx(np.mean(values), rel=1e-5)
            assert point.scores[metric].error == pytest.approx(np.std(values, ddof=1) / 3**0.5, rel=1e-3, abs=1e-9)
        gains = np.array(scores["psnr"]) - before
        assert point.scores["psnr"].gain == pytest.approx(gains.mean(), abs=1e-4)
        assert point.scores["psnr"].gain_error == pytest.approx(gains.std(ddof=1) / 3**0.5, rel=1e-2, abs=1e-6)
        assert (point.images, point.seeds) == (3, 2 if shared(pipeline, point.settings).output == "diffusion" else 1)


def test_points_are_those_asked_for_and_the_presets(pipeline, direct):
    wanted = plan(pipeline, **GRID)
    mixes = [Preset(steps=n, fidelity=f) for n in (1, 2) for f in (0.0, 0.5, 1.0)]
    means = [Preset(steps=n, samples=k) for n in (1, 2) for k in (1, 3)]
    predictor = Preset(output="predictor")
    assert set(wanted) == {Preset(output="input"), predictor, BEST, *mixes, *means}
    assert named(pipeline) == {"draft": predictor, "standard": predictor, "best": BEST}
    # Without a predictor there is nothing to mix one sample with.
    assert {each.samples for each in plan(direct, **GRID) if each.fidelity is not None} == {3}
    own = plan(pipeline, **GRID, final_variances=[0.1, 0.3], sampler="ddim")
    assert {(each.final_variance, each.sampler) for each in own if each.steps == 1} == {(0.1, "ddim"), (0.3, "ddim")}
    with pytest.raises(ConfigError, match="fidelity is 2"):
        plan(pipeline, **{**GRID, "fidelities": [2.0]})
    with pytest.raises(ConfigError, match="steps is 4000"):
        plan(pipeline, **{**GRID, "steps": [4000]})


def test_nothing_is_run_twice(pipeline, folder, monkeypatch):
    """Per photo and number of steps: three samples, whatever the numbers of samples and fidelities."""
    calls = []
    original = ICDPM.forward
    monkeypatch.setattr(ICDPM, "forward", lambda *args: calls.append(1) or original(*args))
    wanted = plan(pipeline, **GRID)
    points_of(pipeline, folder, wanted)
    assert len(calls) == 3 * (3 * 1 + 3 * 2)


def test_pictures_are_made_once_for_points_that_share_them(pipeline):
    blurry = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    wanted = plan(pipeline, **GRID)
    unique = list(dict.fromkeys(shared(pipeline, each) for each in wanted))
    made = list(restorations(pipeline, blurry, unique, seed=0))
    assert sorted(map(str, unique)) == sorted(str(settings) for settings, _ in made)
    assert len(unique) == len(wanted) - 4  # both ends of the fidelities of both numbers of steps
    assert draws(BEST) == draws(Preset(steps=2))


def test_files_round_trip_to_the_last_bit(pipeline, folder, tmp_path):
    wanted = plan(pipeline, **GRID)
    _, points = points_of(pipeline, folder, wanted)
    depends = {"weights": "x", "real pairs": "y"}
    files = CurveFiles(tmp_path, depends, {}, named(pipeline))
    assert files.missing("real", wanted) == wanted
    files.add(points[:4])
    files.add(points[4:])
    again = CurveFiles(tmp_path, {**depends, "out of domain pairs": "z"}, {}, named(pipeline))
    assert again.points == files.points
    assert set(map(str, again.points)) == set(map(str, points))
    assert again.missing("real", wanted) == []
    assert again.missing("out-of-domain", wanted) == wanted
    rows = {row["preset"]: row for row in csv.DictReader((tmp_path / "pd_curve.csv").open())}
    assert rows["best"]["fidelity"] == "0.25"
    assert rows["draft standard"]["output"] == "predictor"
    assert rows["draft standard"]["steps"] == ""
    with pytest.raises(ConfigError, match=r"pd_curve.json: measured with other weights; choose another --out"):
        CurveFiles(tmp_path, {**depends, "weights": "w"}, {}, {})
    (tmp_path / "pd_curve.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="pd_curve.csv: not a table"):
        CurveFiles(tmp_path, depends, {}, {})
    (tmp_path / "pd_curve.json").write_text("[]")
    with pytest.raises(DataError, match="pd_curve.json"):
        CurveFiles(tmp_path, depends, {}, {})


def test_one_photo_has_no_error_and_json_no_nan(pipeline, folder, tmp_path):
    (pairs,) = curve_sets(str(folder), None, 32, 1)
    (points,) = measure(pipeline, pairs, [Preset(output="predictor")], seeds=[0], lpips=None, on_image=lambda *_: None)
    CurveFiles(tmp_path, {}, {}, {}).add(points)
    (found,) = json.loads((tmp_path / "pd_curve.json").read_text())["points"]
    assert found["psnr_error"] is None
    assert "lpips_mean" not in found
    assert " ± " not in (tmp_path / "pd_curve.md").read_text().split("\n\n")[0]
    (again,) = CurveFiles(tmp_path, {}, {}, {}).points
    assert again.scores["psnr"].mean == points[0].scores["psnr"].mean


def test_sets_are_cut_and_limited(folder):
    real, outside = curve_sets(str(folder), str(folder), 32, 2)
    assert [pair.name for pair in real.pairs] == ["a", "b"]
    assert {pair.load()[0].shape for pair in real.pairs} == {(1, 3, 32, 32)}
    assert outside.name == "out-of-domain"
    assert curve_sets(str(folder), None, None, None)[0].pairs[0].load()[0].shape == (1, 3, 40, 48)
    assert real.identity != curve_sets(str(folder), None, 32, 3)[0].identity
    for crop, limit in ((8, None), (None, 0)):
        with pytest.raises(ConfigError, match="allowed"):
            curve_sets(str(folder), None, crop, limit)


# The command


@pytest.fixture
def model(tiny_model, tmp_path):
    save_model(tmp_path / "model", tiny_model, NoiseSchedule(), Defaults(output="predictor"))
    return tmp_path / "model"


def command(*words: object) -> None:
    app = typer.Typer()
    app.command()(pd_curve)
    app(args=[str(word) for word in words], standalone_mode=False)


def call(model, folder, out, *words: object) -> None:
    command(model, "--pairs", folder, "--out", out, "--steps", "1,2", "--crop", "32", "--device", "cpu", *words)


def test_the_command_writes_points_and_figure_and_goes_on(model, folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "new" / "out"
    call(model, folder, out, "--samples", "1", "--fidelity", "0.5")
    assert {path.name for path in out.iterdir()} == {f"pd_curve.{kind}" for kind in ("csv", "json", "md", "png", "pdf")}
    assert capsys.readouterr().out == (out / "pd_curve.md").read_text() + "\n"
    assert Image.open(out / "pd_curve.png").width > 1000
    first = {str(row): row for row in csv.DictReader((out / "pd_curve.csv").open())}
    measured = []
    original = module.restorations

    def watched(pipeline, blurry, wanted, seed):
        measured.extend(wanted)
        return original(pipeline, blurry, wanted, seed)

    monkeypatch.setattr(module, "restorations", watched)
    monkeypatch.setattr(pd_figure, "draw_curve", lambda *_: [])
    call(model, folder, out, "--samples", "1", "--fidelity", "0.5")
    assert measured == []
    call(model, folder, out, "--samples", "1,2", "--fidelity", "0.5", "--sharp", folder, "--limit", "3")
    real = [each for each in measured if each.samples == 2]
    assert len(real) == 2 * (3 + 3)
    later = {str(row) for row in csv.DictReader((out / "pd_curve.csv").open())}
    assert set(first) < later


def test_an_interrupted_curve_keeps_what_it_has(model, folder, tmp_path, monkeypatch):
    original = DeblurPipeline.draw

    def until_two(self, conditions, settings, *rest):
        if settings.steps == 2:
            raise RuntimeError("killed")
        return original(self, conditions, settings, *rest)

    monkeypatch.setattr(pd_figure, "draw_curve", lambda *_: [])
    with monkeypatch.context() as patch:
        patch.setattr(DeblurPipeline, "draw", until_two)
        with pytest.raises(RuntimeError, match="killed"):
            call(model, folder, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "pd_curve.csv").open()))
    # A fidelity of 1 needs no samples.
    assert {row["steps"] for row in rows if row["fidelity"] != "1.0"} == {"", "1"}
    call(model, folder, tmp_path / "out")
    call(model, folder, tmp_path / "whole")
    assert (tmp_path / "out" / "pd_curve.csv").read_bytes() == (tmp_path / "whole" / "pd_curve.csv").read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--steps", "1,x"], "--steps 1,x: expected numbers"),
        (["--fidelity", "3"], "fidelity is 3"),
        (["--sampler", "euler"], "unknown sampler"),
        (["--crop", "5"], "crop is 5"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_written(model, folder, tmp_path, words, says):
    with pytest.raises(ConfigError, match=says):
        call(model, folder, tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_without_matplotlib_the_remedy_is_named(model, folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'resharp\[plot\]'"):
        call(model, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
