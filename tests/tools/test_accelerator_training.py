"""Three stages within a fixed time: how the time is divided, what is left behind, and how the next call goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from resharp.errors import ConfigError, ModelError, OutputError
from resharp.models.icdpm import ICDPM
from resharp.models.sizes import size
from resharp.serialization import Defaults, load_model, save_model
from resharp.train.config_file import load_config
from resharp.train.data import open_data
from runs import rectangles, save
from tiny import TINY, awake

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import accelerator_results  # noqa: E402
from accelerator_pack import pack, unpack  # noqa: E402
from accelerator_plan import SHARES, Plan, allotted, seconds_of_stages  # noqa: E402
from accelerator_results import Exports, export_model, import_model  # noqa: E402
from accelerator_stages import Stages  # noqa: E402
from train_on_accelerator import main  # noqa: E402

# The tests' own tiny network, as settings on top of configs/tiny_cpu.toml.
SMALL = [
    "model.guidance={ scales = [1, 2], features = 4, width = 4, blocks = 1 }",
    "model.denoiser={ widths = [8, 8] }",
    "model.predictor={ widths = [8, 8] }",
    "crop_px=32",
    "batch_size=2",
    "blur.extent_max_px=8",
    "validation_photos=1",
]


def test_time_is_divided_by_shares_with_some_for_the_end():
    for minutes in (1.5, 25, 240):
        seconds = seconds_of_stages(minutes)
        assert list(seconds) == ["predictor", "denoiser", "distil"]
        training = sum(seconds.values())
        assert 15 <= 60 * minutes - training <= 120
        assert {stage: value / training for stage, value in seconds.items()} == pytest.approx(SHARES)
    with pytest.raises(ConfigError, match="at least half a minute"):
        seconds_of_stages(0.1)


def test_what_is_left_goes_to_the_stages_in_proportion():
    budgets = {"predictor": 55.0, "denoiser": 35.0, "distil": 10.0}
    assert allotted(budgets, {}, "predictor", 100.0) == pytest.approx(55.0)
    # Starting up took ten seconds: all give a tenth.
    assert allotted(budgets, {}, "predictor", 90.0) == pytest.approx(49.5)
    # The first stage has had 40 of its 55: 15 are left to it.
    assert allotted(budgets, {"predictor": 40.0}, "predictor", 60.0) == pytest.approx(15.0)
    later = {name: budgets[name] for name in ("denoiser", "distil")}
    assert allotted(later, {"predictor": 60.0}, "denoiser", 40.0) == pytest.approx(40 * 35 / 45)
    assert allotted({"distil": 10.0}, {"distil": 50.0}, "distil", 7.0) == pytest.approx(7.0)
    assert allotted(budgets, {}, "distil", -3.0) == 0


def test_a_plan_remembers_and_holds_to_its_minutes(tmp_path):
    began = time.monotonic()
    plan = Plan.open(tmp_path, 25, began - 10)
    plan.steps["predictor"] = 7
    plan.save(tmp_path)
    again = Plan.open(tmp_path, 25, time.monotonic())
    assert again.steps == {"predictor": 7}
    assert 10 <= again.wall_s < 10 + time.monotonic() - began + 1
    with pytest.raises(ConfigError, match="was begun with --minutes 25"):
        Plan.open(tmp_path, 30, began)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        Plan.open(tmp_path, 25, began)


def packed_photos(tmp_path, count=6):
    for i, photo in enumerate(rectangles(count, 200)):
        save(photo, tmp_path / "photos" / f"{i}.png")
    pack([str(tmp_path / "photos")], tmp_path / "photos.tar", 60)
    return tmp_path / "photos.tar"


def stages(tmp_path, monkeypatch, plan, **options):
    unpack(packed_photos(tmp_path), tmp_path / "work" / "data")
    config = ROOT / "configs" / "tiny_cpu.toml"
    source, validation = open_data(load_config(config, SMALL), [str(tmp_path / "work" / "data" / "photos")])
    monkeypatch.setattr("accelerator_stages.PROBE_S", (0.2, 0.2))
    device = torch.device("cpu")
    given = {"config": config, "settings": SMALL, "init": None, "source": source, "validation": validation}
    return Stages(tmp_path / "work", plan, **given, device=device, report=lambda line: None, **options)


def test_all_stages_are_trained_in_two_calls(tmp_path, monkeypatch):
    """The first call is stopped within the first stage; the second one finishes all."""
    (tmp_path / "work").mkdir()
    plan = Plan(10)
    trained = []
    first = stages(tmp_path, monkeypatch, plan, on_progress=trained.append)
    # The speed that was measured gives thousands of steps; a test takes some.
    probe = Stages._probe
    monkeypatch.setattr(Stages, "_probe", lambda *words: (min(probe(*words)[0], 0.002), 0))
    now = time.monotonic()
    assert first.run(now + 600, now + 1.5) in ("time", "")
    begun = dict(Plan.open(tmp_path / "work", 10, now).taken)
    assert begun["predictor"] >= 1
    second = stages(tmp_path, monkeypatch, Plan.open(tmp_path / "work", 10, now), on_progress=trained.append)
    assert second.run(time.monotonic() + 600, time.monotonic() + 600) == ""
    done = Plan.open(tmp_path / "work", 10, now)
    assert done.done == list(SHARES)
    assert done.steps == dict.fromkeys(SHARES, 20) == done.taken
    assert set(trained) == set(SHARES)
    models = {stage: load_model(tmp_path / "work" / stage / "model") for stage in SHARES}
    assert models["predictor"][2].output == "predictor"
    assert models["distil"][2].steps == 1
    states = {stage: model.state_dict() for stage, (model, _, _) in models.items()}
    for name, value in states["predictor"].items():
        same = [torch.equal(value, states[stage][name]) for stage in ("denoiser", "distil")]
        assert all(same) or name.startswith("denoiser."), name
    assert not all(torch.equal(states["denoiser"][name], value) for name, value in states["distil"].items())
    assert not (tmp_path / "work" / "probe").exists()


def test_configurations_of_the_stages(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    all_stages = stages(tmp_path, monkeypatch, Plan(10))
    base = load_config(ROOT / "configs" / "tiny_cpu.toml", SMALL)
    predictor, denoiser, distil = (all_stages.stage_config(stage, 400, 8) for stage in SHARES)
    assert [config.stage for config in (predictor, denoiser, distil)] == list(SHARES)
    assert predictor.init is None
    assert denoiser.init == str(tmp_path / "work" / "predictor" / "model")
    assert distil.init == str(tmp_path / "work" / "denoiser" / "model")
    assert (predictor.steps, predictor.batch_size, predictor.lr_decay) == (400, 8, "cosine")
    assert predictor.lr == base.lr
    assert distil.lr == pytest.approx(0.3 * base.lr)
    assert predictor.model == base.model


def test_weights_come_back_as_a_model_in_half_precision(tmp_path):
    model = awake(ICDPM(TINY))
    save_model(tmp_path / "model", model, load_config(ROOT / "configs" / "fast.toml").schedule, Defaults(steps=3))
    export_model(tmp_path / "model", tmp_path / "a.safetensors")
    import_model(tmp_path / "a.safetensors", tmp_path / "back")
    back, _, defaults = load_model(tmp_path / "back")
    assert defaults == Defaults(steps=3)
    for name, value in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], value.half().float()), name
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not weights written by `run`"):
        import_model(tmp_path / "b.safetensors", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_the_wide_size_fits_a_result_and_a_larger_one_is_refused(tmp_path, monkeypatch):
    save_model(
        tmp_path / "model", ICDPM(size("msgd-wide")), load_config(ROOT / "configs" / "fast.toml").schedule, Defaults()
    )
    export_model(tmp_path / "model", tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_size < 16 * 2**20
    monkeypatch.setattr(accelerator_results, "LIMIT_BYTES", 10 * 2**20)
    with pytest.raises(OutputError, match="take 16 MiB or more"):
        export_model(tmp_path / "model", tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


def test_weights_are_exported_while_training_goes_on(tmp_path):
    schedule = load_config(ROOT / "configs" / "fast.toml").schedule
    (tmp_path / "out").mkdir()
    exports = Exports(tmp_path / "work", tmp_path / "out", every_s=0.0)
    exports("predictor")
    assert not list((tmp_path / "out").iterdir())
    save_model(tmp_path / "work" / "predictor" / "model", ICDPM(TINY), schedule, Defaults(output="predictor"))
    exports("predictor")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictor.safetensors"]
    save_model(tmp_path / "work" / "denoiser" / "model", ICDPM(TINY), schedule, Defaults())
    exports("denoiser")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["diffusion.safetensors"]
    before = (tmp_path / "out" / "diffusion.safetensors").read_bytes()
    save_model(tmp_path / "work" / "denoiser" / "model", awake(ICDPM(TINY)), schedule, Defaults())
    exports("denoiser")
    assert (tmp_path / "out" / "diffusion.safetensors").read_bytes() != before


def test_mistakes_are_told_in_one_line(tmp_path, capsys):
    assert main(["run", "--data", str(tmp_path / "no.tar"), "--minutes", "1", "--out", str(tmp_path / "out"), "--dry"])
    assert main(["run", "--data", "x", "--minutes", "0.1", "--out", str(tmp_path / "out"), "--dry"])
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "no.tar: not a file made by `pack`" in told[0]
    assert "--minutes is 0.1" in told[1]


@pytest.mark.slow
def test_the_whole_way_on_a_cpu(tmp_path):
    """In two calls, the first one stopped early."""
    data, out = packed_photos(tmp_path, 12), tmp_path / "out"
    command = [sys.executable, ROOT / "tools" / "train_on_accelerator.py", "run", "--dry", "--minutes", 2]
    command += ["--data", data, "--out", out, "--sharp", tmp_path / "photos"]
    for setting in SMALL:
        command += ["--set", setting]
    subprocess.run([str(word) for word in [*command, "--stop-after", 0.4]], check=True, timeout=120)
    assert not json.loads((out / "summary.json").read_text())["finished"]
    subprocess.run([str(word) for word in command], check=True, timeout=240)
    names = {"diffusion.safetensors", "one_step.safetensors", "log.jsonl", "curves.csv", "summary.json"}
    assert {path.name for path in out.iterdir()} == names | {"evaluation.json", "sheet.jpg"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["finished"]
    assert summary["evaluated"]
    assert summary["wall_s"] <= 130
    assert summary["crops_in_all"] == sum(summary["crops"].values()) > 0
    assert summary["environment"]["torch"] == torch.__version__
    scores = json.loads((out / "evaluation.json").read_text())["sets"]
    assert set(scores) == {"held_out", "sharp"}
    assert set(scores["held_out"]) == {"predictor", "diffusion", "one_step"}
    assert main(["unpack", str(out / "one_step.safetensors"), "--out", str(tmp_path / "model")]) == 0
    model, _, defaults = load_model(tmp_path / "model")
    assert (defaults.output, defaults.steps) == ("diffusion", 1)
    assert model.config.denoiser.widths == (8, 8)
