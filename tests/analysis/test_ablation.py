"""The parts of an ablation on their own: what is compared, how runs are driven, what the table says."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from resharp.analysis.ablation import Ablation, contrasts, lines
from resharp.analysis.ablation_table import markdown, report
from resharp.analysis.scoring import PairSet, Sampling, Scorer, check_unseen, pair_sets
from resharp.analysis.training import TrainingOptions, train_all
from resharp.analysis.variants import (
    Run,
    Variant,
    check_existing,
    load_variants,
    other_differences,
    plan_runs,
    unequal_sizes,
)
from resharp.data.folders import FolderSource
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, DataError, TrainingError
from resharp.evaluate.score import Row
from resharp.evaluate.tables import read_csv
from resharp.models.config import ModelConfig, UNetConfig
from resharp.models.icdpm import ICDPM
from resharp.serialization import Defaults, save_model
from resharp.train.config_file import resolved
from resharp.train.stops import Stops
from runs import CONFIG, rectangles, save, sharp_listing
from tiny import TINY

UNGUIDED = replace(TINY, guidance=None)


def variant(name: str = "guided", model: ModelConfig = TINY, **settings: object) -> Variant:
    return Variant(name, Path(f"{name}.toml"), replace(CONFIG, model=model, **settings))


# What is compared


def test_parameters_are_those_that_a_part_uses():
    model = ICDPM(TINY)
    everything = model.parameter_count()
    denoiser = sum(value.numel() for value in model.denoiser.parameters())
    assert variant().parameters == {"predictor": everything - denoiser, "diffusion": everything}
    # The denoiser of a regression is not trained, and the diffusion of an image has no predictor.
    assert variant(stage="predictor").parameters == {"predictor": everything - denoiser}
    assert list(variant(model=replace(TINY, predictor=None, residual_scale=1.0)).parameters) == ["diffusion"]


def test_sizes_are_compared_part_by_part():
    wider = replace(UNGUIDED, denoiser=UNetConfig(widths=(8, 40), encoder_blocks=1, decoder_blocks=2, middle_blocks=1))
    assert unequal_sizes([variant("a"), variant("b")]) == []
    lines = unequal_sizes([variant("a", UNGUIDED), variant("b", wider)])
    assert len(lines) == 1
    assert lines[0].startswith("not of equal size: diffusion: a ")


@pytest.mark.parametrize(("larger", "noted"), [(102, False), (103, True)])
def test_two_per_cent_are_equal(larger, noted):
    small, large = variant("small"), variant("large")
    # Where a cached property keeps its value.
    small.__dict__["parameters"], large.__dict__["parameters"] = {"predictor": 100}, {"predictor": larger}
    assert bool(unequal_sizes([small, large])) == noted


def test_blur_may_differ_if_it_is_what_is_compared(tmp_path):
    lines = ("stage = 'predictor'", "warm_start_steps = 0", "[blur]")
    for name, extent in (("a", 3.0), ("b", 4.0)):
        (tmp_path / f"{name}.toml").write_text("\n".join((*lines, f"extent_median_px = {extent}")))
    paths = [tmp_path / "a.toml", tmp_path / "b.toml"]
    with pytest.raises(ConfigError, match=r"b\.toml: blur\.extent_median_px is 4\.0"):
        load_variants(paths)
    variants = load_variants(paths, other_blur=True)
    assert [each.config.blur.extent_median_px for each in variants] == [3.0, 4.0]
    assert other_differences(variants) == ["blur.extent_median_px is 4.0 in b, 3.0 in a"]


def test_settings_that_differ_outside_the_network_are_named():
    assert other_differences([variant(), variant("unguided", UNGUIDED)]) == []
    assert other_differences([variant(), variant("b", UNGUIDED, lr=5e-4)]) == ["lr is 0.0005 in b, 0.001 in guided"]


def test_runs_are_planned_seed_by_seed(tmp_path):
    runs = plan_runs([variant("a"), variant("b")], range(2), tmp_path)
    assert [run.name for run in runs] == ["a, seed 0", "b, seed 0", "a, seed 1", "b, seed 1"]
    assert runs[3].folder == tmp_path / "b" / "seed-1"
    assert [run.config.seed for run in runs] == [0, 0, 1, 1]


def test_photographs_that_are_trained_on_are_refused(tmp_path):
    source = FolderSource([sharp_listing(tmp_path / "train", 2, 96)])
    for i, pixels in enumerate(rectangles(3, 96)[2:], 5):
        save(pixels, tmp_path / "pairs" / "blurry" / f"{i}.png")
        save(pixels, tmp_path / "pairs" / "sharp" / f"{i}.png")
        save(pixels, tmp_path / "sharp" / f"{i}.png")
    check_unseen(source, pair_sets(str(tmp_path / "pairs"), str(tmp_path / "sharp"), CONFIG.blur))
    seen = tmp_path / "sharp" / "other_name.png"
    seen.write_bytes((tmp_path / "train" / "1.png").read_bytes())
    for crop_px in (None, 48):
        sets = pair_sets(str(tmp_path / "pairs"), str(tmp_path / "sharp"), CONFIG.blur, crop_px)
        with pytest.raises(DataError, match="other_name.png: is trained on too, as .*1.png"):
            check_unseen(source, sets)


# How runs are driven

# A training of a moment: it takes its steps one by one, and saves the "checkpoint" when told to stop.
PLAY = """
import pathlib, signal, sys, time
folder, steps, pause = pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1) or signal.signal(signal.SIGTERM, signal.SIG_DFL))
(folder / "checkpoints").mkdir(exist_ok=True)
print("begins", flush=True)
for step in range(steps):
    time.sleep(pause)
    if stop:
        time.sleep(0.3)
        (folder / "checkpoints" / f"step-{step + 1:08d}.pt").touch()
        sys.exit(143)
(folder / "checkpoints" / f"step-{steps:08d}.pt").touch()
"""
FAIL = "print('resharp: the data set is cursed'); raise SystemExit(1)"


@dataclass(frozen=True)
class Play(TrainingOptions):
    """Stands in for `resharp train`; the runs of the variant "fails" fail."""

    pause_s: float = 0.0

    def words(self, run: Run, minutes: float | None) -> list[str]:
        if run.variant.name == "fails":
            return [sys.executable, "-c", FAIL]
        return [sys.executable, "-c", PLAY, str(run.folder), str(run.config.steps), str(self.pause_s)]


def drive(runs: list[Run], *, jobs: int = 1, pause_s: float = 0.0, minutes: float | None = None):
    told: list[str] = []
    with Stops(minutes) as stops:
        return train_all(runs, Play(("photos",), pause_s=pause_s), jobs, stops, told.append), told


def test_finished_runs_are_left_alone(tmp_path):
    runs = plan_runs([variant("a"), variant("b")], range(2), tmp_path)
    reason, told = drive(runs[:1])
    assert (reason, told) == ("", ["a, seed 0: training from step 0, 1 of 1 runs", "a, seed 0: at step 6 of 6"])
    before = (runs[0].folder / "train.log").stat().st_mtime_ns
    reason, told = drive(runs, jobs=2)
    assert reason == ""
    assert all(run.is_finished() for run in runs)
    assert (runs[0].folder / "train.log").stat().st_mtime_ns == before
    assert not any("a, seed 0" in line for line in told)
    assert drive(runs) == ("", [])


def test_no_more_runs_at_a_time_than_jobs(tmp_path):
    runs = plan_runs([variant("a"), variant("b")], range(2), tmp_path)
    _, told = drive(runs, jobs=2, pause_s=0.05)
    going, most = 0, 0
    for line in told:
        going += 1 if "training from" in line else -1
        most = max(most, going)
    assert most == 2


def test_a_failing_run_is_named_and_the_others_save(tmp_path):
    runs = plan_runs([variant("slow"), variant("fails")], range(2), tmp_path)
    with pytest.raises(TrainingError) as caught:
        drive(runs, jobs=2, pause_s=1.0)
    log = runs[1].folder / "train.log"
    assert str(caught.value) == (
        f"fails, seed 0: training failed (the data set is cursed); see {log}, the same command goes on"
    )
    assert runs[0].steps_done() < 6
    assert not runs[2].folder.exists()


@pytest.mark.parametrize(("number", "says"), [(signal.SIGTERM, "terminate"), (signal.SIGINT, "interrupt")])
def test_asked_to_stop_runs_save_once_and_end(tmp_path, number, says):
    runs = plan_runs([variant("a"), variant("b")], range(1), tmp_path)

    def stop_when_both_have_begun():
        while not all((run.folder / "train.log").exists() and _said(run) for run in runs):
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=stop_when_both_have_begun, daemon=True).start()
    reason, _ = drive(runs, jobs=2, pause_s=0.5)
    assert reason == says
    # A second signal would have ended them before they had saved.
    assert all(0 < run.steps_done() < 6 for run in runs)


def _said(run: Run) -> bool:
    return "begins" in (run.folder / "train.log").read_text()


def test_no_run_begins_after_the_time(tmp_path):
    runs = plan_runs([variant("a"), variant("b")], range(2), tmp_path)
    assert drive(runs, minutes=1e-9) == ("time", [])
    assert not (tmp_path / "a").exists()


def test_the_real_command_line(tmp_path):
    run = Run(variant(), 2, tmp_path / "run")
    options = TrainingOptions(("one", "two"), steps=5, device="cpu", workers=1, threads=2, accept_changed_data=True)
    line = " ".join(options.words(run, 1.5)[3:])
    assert line == (
        f"train guided.toml --out {tmp_path / 'run'} --data one --data two --seed 2 --device cpu --workers 1 "
        "--threads 2 --steps 5 --minutes 1.5000 --accept-changed-data"
    )


def test_folders_of_other_runs_are_refused(tmp_path):
    run = Run(variant(), 0, tmp_path)
    check_existing(run, "data")
    settings = json.loads(json.dumps(resolved(run.config)))
    (tmp_path / "config.json").write_text(json.dumps({**settings, "lr": 1.0}))
    with pytest.raises(ConfigError, match=r"trained with other settings \(lr was 1.0, is 0.001\)"):
        check_existing(run, "data")
    (tmp_path / "config.json").write_text(json.dumps(settings))
    check_existing(run, "data")
    # A run of a version that did not have all settings yet.
    (tmp_path / "config.json").write_text(json.dumps({key: settings[key] for key in settings if key != "streams"}))
    check_existing(run, "data")
    (tmp_path / "data.json").write_text(json.dumps({"fingerprint": "other"}))
    with pytest.raises(DataError, match="trained on another data set"):
        check_existing(run, "data")
    check_existing(run, None)
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(DataError, match=r"data.json: cannot be read"):
        check_existing(run, "data")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-00000009.pt").touch()
    with pytest.raises(ConfigError, match="trained for 9 steps already, more than 6"):
        check_existing(run, None)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config.json: not valid JSON"):
        check_existing(run, None)


# Scores


@pytest.fixture
def run(tmp_path, tiny_model) -> Run:
    made = Run(variant(), 3, tmp_path / "guided" / "seed-3")
    save_model(made.folder / "model", tiny_model, NoiseSchedule(), Defaults())
    return made


class MemoryPair:
    name = "flat"

    def __init__(self) -> None:
        self.loaded = 0

    def load(self) -> tuple[torch.Tensor, torch.Tensor]:
        self.loaded += 1
        return torch.full((1, 3, 32, 32), 0.4), torch.full((1, 3, 32, 32), 0.5)


def score(run: Run, pair: MemoryPair, part: str = "diffusion", identity: str = "x", **sampling: int) -> list[Row]:
    pairs = PairSet("real", "real", "made up", (pair,), identity)
    scorer = Scorer([pairs], Sampling(**{"steps": 1, **sampling}), None, None, torch.device("cpu"))
    return scorer(run, part, pairs, lambda done, name: None)


def test_scores_are_made_once_for_the_same_model_pairs_and_sampling(run):
    pair = MemoryPair()
    first = score(run, pair)
    assert [row[:3] for row in first] == [("flat", 3, "psnr"), ("flat", 3, "ssim")]
    assert read_csv(run.folder / "scores" / "diffusion_real.csv") == first
    assert score(run, pair) == first
    assert pair.loaded == 1
    score(run, pair, "predictor")
    score(run, pair, "predictor", steps=2)  # it takes no steps
    assert pair.loaded == 2
    assert score(run, pair, steps=2) != first
    score(run, pair, identity="y", steps=2)
    assert pair.loaded == 4
    save_model(run.folder / "model", ICDPM(TINY), NoiseSchedule(), Defaults())
    score(run, pair, identity="y", steps=2)
    assert pair.loaded == 5


def test_scores_without_what_they_depend_on_are_made_anew(run):
    pair = MemoryPair()
    first = score(run, pair)
    about = run.folder / "scores" / "diffusion_real.json"
    for broken in ("{", "[]", None):
        about.unlink() if broken is None else about.write_text(broken)
        assert score(run, pair) == first
    assert pair.loaded == 4


@dataclass
class Asked:
    """Stops that say `reason` from a moment on."""

    reason: str = ""


@pytest.mark.parametrize(("why", "units"), [("time", 2), ("interrupt", 1), ("terminate", 1)])
def test_scoring_asked_to_stop_ends_soon_and_keeps_what_it_has(why, units):
    """Out of time it ends the set it is at; told to stop it does not."""
    ablation, _ = made_up()
    stops, told = Asked(), []

    def scorer(run, part, pairs, on_image):
        stops.reason = why if len(told) == 1 else ""
        on_image(1, "a")
        return [Row("a", run.seed, "psnr", 1.0, 2.0)]

    rows, reason = ablation.score(scorer, stops, told.append)
    assert reason == why
    assert told[0] == "unguided, seed 0: scoring predictor, real (1 of 12)"
    assert len(told) == 2
    assert len(rows) == units


# The table


def made_up(difference: float = 0.5, lpips: bool = True) -> tuple[Ablation, dict]:
    """Two images, three seeds; the second variant's PSNR is higher by `difference`, its LPIPS lower by 0.1."""
    variants = [variant("unguided", UNGUIDED), variant("guided")]
    pairs = PairSet("real", "real", "a | place", (MemoryPair(), MemoryPair()), "x")
    runs = plan_runs(variants, range(3), Path("out"))
    ablation = Ablation(variants, runs, [pairs], Sampling(), TrainingOptions(("photos",)), ["lr differs"])
    scores: dict = {}
    for run in runs:
        better = run.variant.name == "guided"
        for part in ("predictor", "diffusion"):
            for image, blurry in (("a", 20.0), ("b", 30.0)):
                psnr = blurry + run.seed + (difference if better else 0)
                rows = [Row(image, run.seed, "psnr", blurry, psnr)]
                rows += [Row(image, run.seed, "lpips", 0.5, 0.3 if better else 0.4)] if lpips else []
                scores.setdefault((run.variant.name, part, "real"), []).extend(rows)
    return ablation, scores


def test_lines_hold_means_and_spreads():
    found = lines(*made_up())
    assert [(line.part, line.variant) for line in found] == [
        ("input", None),
        ("predictor", "unguided"),
        ("predictor", "guided"),
        ("diffusion", "unguided"),
        ("diffusion", "guided"),
    ]
    assert found[0].levels["psnr"].mean == 25.0
    assert (found[1].levels["psnr"].mean, found[1].levels["psnr"].spread) == (26.0, 1.0)
    assert found[2].levels["psnr"].mean == 26.5
    assert (found[2].parameters, found[2].crops) == (variant().parameters["predictor"], 12)


def test_contrasts_are_with_the_first_variant():
    found = contrasts(*made_up())
    assert [(each.part, each.found.metric) for each in found] == [
        ("predictor", "psnr"),
        ("predictor", "lpips"),
        ("diffusion", "psnr"),
        ("diffusion", "lpips"),
    ]
    assert {(each.variant, each.reference) for each in found} == {("guided", "unguided")}
    assert (found[0].found.gain, found[0].found.p, found[0].found.seeds_won) == (0.5, 0.5, 3)
    assert found[1].found.gain == pytest.approx(0.1)


def test_markdown_says_it_all():
    ablation, scores = made_up()
    text = markdown(ablation, lines(ablation, scores), contrasts(ablation, scores))
    size = f"{variant().parameters['predictor']:,}"
    assert "| set | part | variant | parameters | crops | PSNR ↑ | LPIPS ↓ |\n" in text
    assert "| real | input | - | - | - | 25.00 | 0.5000 |\n" in text
    assert f"| real | predictor | guided | {size} | 12 | 26.50 ± 1.00 | 0.3000 ± 0.0000 |\n" in text
    row = "| +0.500 | +0.500 to +0.500 | 0.5 | 3 of 3 | +0.500 +0.500 +0.500 |"
    assert f"| real | predictor | guided against unguided | PSNR {row}\n" in text
    assert "- real: 2 images, a | place.\n" in text
    assert "- Note: lr differs.\n" in text


def test_a_single_seed_has_no_spread():
    ablation, scores = made_up(lpips=False)
    ablation = replace(ablation, runs=ablation.runs[:2])
    scores = {key: [row for row in rows if row.seed == 0] for key, rows in scores.items()}
    found = lines(ablation, scores)
    content = report(ablation, found, contrasts(ablation, scores), {})
    assert content["scores"][1]["psnr_spread"] is None
    json.dumps(content, allow_nan=False)
    text = markdown(ablation, found, contrasts(ablation, scores))
    assert "| 25.50 |" in text
    assert "±" not in text
    assert "no spread" in text


def test_other_pictures_are_not_compared():
    ablation, scores = made_up()
    scores["guided", "predictor", "real"] = [
        row._replace(blurry=row.blurry + 1) for row in scores["guided", "predictor", "real"]
    ]
    with pytest.raises(DataError, match="guided, predictor, real: scored on other pictures"):
        contrasts(ablation, scores)
