"""Training on a handful of made-up pictures: it learns, leaves what it promises, and refuses what it should."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, OutputError
from resharp.models.config import GuidanceConfig, ModelConfig
from resharp.serialization import load_model
from resharp.train.engine import learning_rate
from resharp.train.run_folder import lock
from runs import BLUR, CONFIG, pair_listing, sharp_listing, trainer, weights
from tiny import TINY, TINY_UNET


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_another_seed_gives_other_weights(tmp_path):
    trainer(CONFIG, tmp_path / "a").run()
    trainer(replace(CONFIG, seed=1), tmp_path / "b").run()
    assert weights(tmp_path / "a") != weights(tmp_path / "b")


def test_a_run_leaves_what_it_promises(tmp_path):
    assert trainer(CONFIG, tmp_path / "run").run() == ""
    run = tmp_path / "run"
    lines = log(run)
    train = {"step", "crops_per_s", "memory_gb", "skipped", "gradient_norm", "regression", "prediction", "denoising"}
    assert train | {"total"} <= lines[-2].keys()
    assert {"psnr_blurry", "psnr_predictor", "psnr_diffusion", "ssim_predictor"} <= lines[-1].keys()
    assert (run / "samples" / "0000006.jpg").stat().st_size > 1000
    model, schedule, _ = load_model(run / "model")
    assert model.config == TINY
    assert schedule == NoiseSchedule()
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-00000003.pt", "step-00000006.pt"]
    facts = json.loads((run / "environment.json").read_text())
    assert facts["torch"] == torch.__version__
    assert facts["processes"] == 1
    data = json.loads((run / "data.json").read_text())
    assert data["photographs"] == 3
    assert len(data["fingerprint"]) == 32
    assert json.loads((run / "config.json").read_text())["model"]["patch_size"] == TINY.patch_size
    assert not list(tmp_path.rglob(".resharp-*"))


def test_curves_for_tensorboard(tmp_path):
    trainer(replace(CONFIG, tracker="tensorboard"), tmp_path / "run").run()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(tmp_path / "run" / "curves"))
    curves.Reload()
    assert [event.step for event in curves.Scalars("train/total")] == [2, 4, 6]
    assert curves.Scalars("train/total")[-1].value == pytest.approx(log(tmp_path / "run")[-2]["total"], abs=1e-5)
    assert [event.step for event in curves.Scalars("validation/psnr_predictor")] == [6]


def test_only_the_last_checkpoints_are_kept(tmp_path):
    trainer(replace(CONFIG, checkpoint_every=1, keep_checkpoints=3), tmp_path / "run").run()
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == [f"step-0000000{step}.pt" for step in (4, 5, 6)]


def test_warm_start_trains_no_denoiser_then_it_does(tmp_path):
    run = trainer(CONFIG, tmp_path / "run")
    seen = [run.engine.step(step, parts) for step, parts in enumerate(run.parts(0, 6))]
    assert ["denoising" in result.losses for result in seen] == [False, False, True, True, True, True]


# Noise on flat pictures is what a network of this size learns to remove in seconds.
NOISE = {"still_share": 1.0, "noise_free_share": 0.0, "noise_median": 0.05, "noise_spread": 0.0, "noise_max": 0.05}
LEARNING = replace(CONFIG, stage="predictor", batch_size=4, lr=3e-3, lr_decay="cosine", ema_decay=0.95, steps=150)
LEARNING = replace(LEARNING, blur=replace(BLUR, jpeg_share=0.0, **NOISE))


def test_predictor_learns_to_beat_the_input(tmp_path):
    trainer(LEARNING, tmp_path / "run").run()
    scores = log(tmp_path / "run")[-1]
    assert scores["psnr_predictor"] > scores["psnr_blurry"] + 1.0


def test_a_regression_without_denoiser_learns_from_pairs(tmp_path):
    config = replace(LEARNING, model=replace(TINY, denoiser=None, residual_scale=1.0))
    trainer(config, tmp_path / "run", listing=pair_listing(tmp_path / "pairs")).run()
    scores = log(tmp_path / "run")[-1]
    assert scores["psnr_predictor"] > scores["psnr_blurry"] + 1.0
    _, _, defaults = load_model(tmp_path / "run" / "model")
    assert defaults.output == "predictor"


def test_an_unguided_model_of_the_image_trains(tmp_path):
    config = replace(CONFIG, model=ModelConfig(guidance=None, denoiser=TINY_UNET, patch_size=2), warm_start_steps=0)
    trainer(config, tmp_path / "run").run()
    assert "denoising" in log(tmp_path / "run")[-2]


def test_denoiser_stage_keeps_predictor_and_guidance_as_they_were(tmp_path):
    trainer(replace(CONFIG, stage="predictor"), tmp_path / "first").run()
    config = replace(CONFIG, stage="denoiser", init=str(tmp_path / "first" / "model"), warm_start_steps=0)
    trainer(config, tmp_path / "second").run()
    before, after = (load_model(tmp_path / name / "model")[0].state_dict() for name in ("first", "second"))
    for name in before:
        kept = not name.startswith("denoiser.")
        assert torch.equal(before[name], after[name]) == kept or not before[name].any(), name


def test_fine_tuning_starts_from_the_model(tmp_path):
    trainer(CONFIG, tmp_path / "first").run()
    config = replace(CONFIG, init=str(tmp_path / "first" / "model"), lr=1e-12)
    trainer(config, tmp_path / "second", listing=pair_listing(tmp_path / "pairs")).run()
    before, after = (load_model(tmp_path / name / "model")[0].state_dict() for name in ("first", "second"))
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_learning_rate_warms_up_and_decays():
    config = replace(CONFIG, steps=100, lr=1.0, lr_warmup_steps=10)
    assert [learning_rate(config, step) for step in (0, 4, 9, 50)] == [0.1, 0.5, 1.0, 1.0]
    cosine = replace(config, lr_decay="cosine")
    assert learning_rate(cosine, 55) == pytest.approx(0.505)
    assert learning_rate(cosine, 100) == pytest.approx(0.01)


def test_parts_of_a_batch_add_up_to_the_batch(tmp_path):
    """The gradient of four parts is that of their crops at once."""
    config = replace(CONFIG, batch_size=4, micro_batch_size=1, stage="predictor", model=replace(TINY, guidance=None))
    run = trainer(config, tmp_path / "run")
    parts = next(run.parts(0, 1))
    assert len(parts) == 4
    whole = parts[0]._replace(x=torch.cat([part.x for part in parts]), y=torch.cat([part.y for part in parts]))
    norm = run.engine.step(0, parts).gradient_norm
    other = trainer(config, tmp_path / "other")
    assert norm == pytest.approx(other.engine.step(0, [whole]).gradient_norm, rel=1e-5)


def test_denoiser_stage_without_a_trained_predictor_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="give init"):
        trainer(replace(CONFIG, stage="denoiser", warm_start_steps=0), tmp_path / "run")


def test_init_of_another_shape_is_refused(tmp_path):
    trainer(CONFIG, tmp_path / "run").run()
    other = replace(CONFIG, model=replace(TINY, residual_scale=3.0), init=str(tmp_path / "run" / "model"))
    with pytest.raises(ConfigError, match="another shape"):
        trainer(other, tmp_path / "other")


def test_two_runs_in_one_folder_are_refused(tmp_path):
    run = trainer(CONFIG, tmp_path / "run")
    (tmp_path / "run").mkdir()
    with lock(tmp_path / "run"), pytest.raises(OutputError, match="another run is training here"):
        run.run()
    assert run.run() == ""


def test_a_tracker_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(ConfigError, match="pip install trackio"):
        trainer(replace(CONFIG, tracker="trackio"), tmp_path / "run")


def test_dropout_is_the_same_again_and_leaves_the_global_generator_alone(tmp_path):
    model = replace(TINY, denoiser=replace(TINY_UNET, dropout=0.5), predictor=replace(TINY_UNET, dropout=0.5))
    state = torch.random.get_rng_state()
    trainer(replace(CONFIG, model=model), tmp_path / "a").run()
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(7)
    trainer(replace(CONFIG, model=model), tmp_path / "b").run()
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_guidance_without_regression_needs_no_warm_start():
    model = ModelConfig(guidance=GuidanceConfig(scales=(1,), regression=False), denoiser=TINY_UNET)
    with pytest.raises(ConfigError, match="warm_start_steps is 2, but without a regression loss"):
        replace(CONFIG, model=model)
    assert replace(CONFIG, model=model, warm_start_steps=0).warm_start_steps == 0


def test_margin_fits_the_crops(tmp_path):
    """The synthesiser gets exactly what it asks for, and gives crop_px back."""
    for listing in (sharp_listing(tmp_path / "photos"), pair_listing(tmp_path / "pairs")):
        run = trainer(CONFIG, tmp_path / "run", listing=listing)
        part = next(run.parts(0, 1))[0]
        assert part.y.shape == part.x.shape == (2, 3, 32, 32)
        assert -1 <= float(part.y.min()) < float(part.y.max()) <= 1
