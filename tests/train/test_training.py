"""Training on a handful of made-up pictures: it learns, resumes exactly, and refuses what it should."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from tiny import TINY

from resharp.data.crops import SharpCrops, load_photos
from resharp.data.synthetic import BlurConfig, BlurSynthesiser
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, DataError, ModelError
from resharp.serialization import load_model
from resharp.train.checkpoint import load_checkpoint
from resharp.train.config import TrainConfig, load_config
from resharp.train.loop import Trainer, learning_rate

BLUR = BlurConfig(extent_max_px=8.0, extent_median_px=4.0, turn_max_px=1.0, max_frames=8)
CONFIG = TrainConfig(
    model=TINY,
    steps=6,
    batch_size=2,
    crop_px=32,
    lr=1e-3,
    lr_warmup_steps=2,
    beta_1=0.9,
    ema_decay=0.5,
    warm_start_steps=2,
    ramp_steps=2,
    log_every=2,
    validate_every=100,
    checkpoint_every=3,
    validation_photos=1,
    blur=BLUR,
)


def photos(count: int = 4, side_px: int = 160) -> list[torch.Tensor]:
    """Random rectangles: flat areas and edges in all places."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(count):
        photo = torch.zeros(3, side_px, side_px)
        for _ in range(60):
            top, left, height, width = (torch.rand(4, generator=generator) * side_px).int().tolist()
            photo[:, top : top + height // 3, left : left + width // 3] = torch.rand(3, 1, 1, generator=generator)
        made.append((photo * 255).byte())
    return made


def trainer(config: TrainConfig, folder, **options) -> Trainer:
    quiet = {"device": torch.device("cpu"), "report": lambda line: None}
    return Trainer(config, photos(), folder, **{**quiet, **options})


def weights(folder) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path, workers):
    trainer(CONFIG, tmp_path / "whole").run()
    interrupted = trainer(CONFIG, tmp_path / "parts", workers=workers)
    for _, batch in zip(range(4), interrupted._batches(), strict=False):
        interrupted.train_step(batch)
        if interrupted.step == 3:
            interrupted.save()
    # The step after the checkpoint is lost, as in a crash, and done again.
    resumed = trainer(CONFIG, tmp_path / "parts", workers=workers)
    assert resumed.step == 3
    resumed.run()
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")


def test_another_seed_gives_other_weights(tmp_path):
    trainer(CONFIG, tmp_path / "a").run()
    trainer(replace(CONFIG, seed=1), tmp_path / "b").run()
    assert weights(tmp_path / "a") != weights(tmp_path / "b")


def test_a_run_leaves_what_it_promises(tmp_path):
    trainer(CONFIG, tmp_path / "run").run()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"step", "crops_per_s", "regression", "prediction", "denoising", "total"} <= lines[-2].keys()
    assert {"psnr_blurry", "psnr_predictor", "psnr_diffusion", "ssim_predictor"} <= lines[-1].keys()
    assert (tmp_path / "run" / "samples" / "0000006.jpg").stat().st_size > 1000
    model, schedule, _ = load_model(tmp_path / "run" / "model")
    assert model.config == TINY
    assert schedule == NoiseSchedule()
    assert not list(tmp_path.rglob(".resharp-*"))


def test_warm_start_trains_no_denoiser_then_it_does(tmp_path):
    run = trainer(CONFIG, tmp_path / "run")
    seen = [run.train_step(batch) for batch in run._batches()]
    assert ["denoising" in losses for losses in seen] == [False, False, True, True, True, True]


def test_predictor_learns_to_beat_the_input(tmp_path):
    config = replace(CONFIG, stage="predictor", steps=150, batch_size=4, lr=3e-3, lr_decay="cosine", ema_decay=0.95)
    # Noise on flat pictures is what a network of this size learns to remove in seconds.
    noise = {"still_share": 1.0, "noise_free_share": 0.0, "noise_median": 0.05, "noise_spread": 0.0, "noise_max": 0.05}
    config = replace(config, blur=replace(BLUR, jpeg_share=0.0, **noise))
    trainer(config, tmp_path / "run").run()
    scores = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert scores["psnr_predictor"] > scores["psnr_blurry"] + 1.0


def test_denoiser_stage_keeps_predictor_and_guidance_as_they_were(tmp_path):
    trainer(replace(CONFIG, stage="predictor"), tmp_path / "first").run()
    config = replace(CONFIG, stage="denoiser", init=str(tmp_path / "first" / "model"), warm_start_steps=0)
    trainer(config, tmp_path / "second").run()
    before, after = (load_model(tmp_path / name / "model")[0].state_dict() for name in ("first", "second"))
    for name in before:
        kept = not name.startswith("denoiser.")
        assert torch.equal(before[name], after[name]) == kept or not before[name].any(), name


def test_learning_rate_warms_up_and_decays():
    config = replace(CONFIG, steps=100, lr=1.0, lr_warmup_steps=10)
    assert [learning_rate(config, step) for step in (0, 4, 9, 50)] == [0.1, 0.5, 1.0, 1.0]
    cosine = replace(config, lr_decay="cosine")
    assert learning_rate(cosine, 55) == pytest.approx(0.505)
    assert learning_rate(cosine, 100) == pytest.approx(0.01)


def test_resume_with_other_settings_is_refused(tmp_path):
    trainer(CONFIG, tmp_path / "run").run()
    with pytest.raises(ConfigError, match="other settings"):
        trainer(replace(CONFIG, lr=1e-2), tmp_path / "run")


def test_foreign_checkpoints_are_refused(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelError, match=r"checkpoint\.pt"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_denoiser_stage_without_a_trained_predictor_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="give init"):
        trainer(replace(CONFIG, stage="denoiser"), tmp_path / "run")


def test_init_of_another_shape_is_refused(tmp_path):
    trainer(CONFIG, tmp_path / "run").run()
    other = replace(CONFIG, model=replace(TINY, residual_scale=3.0), init=str(tmp_path / "run" / "model"))
    with pytest.raises(ConfigError, match="another shape"):
        trainer(other, tmp_path / "other")


def test_too_few_photographs_are_refused(tmp_path):
    with pytest.raises(DataError, match="validation_photos"):
        trainer(replace(CONFIG, validation_photos=4), tmp_path / "run")


def test_crops_follow_from_seed_and_step_alone():
    crops = SharpCrops(photos(), 3, 48, 10, seed=1)
    again = SharpCrops(photos(), 3, 48, 20, seed=1)
    assert torch.equal(crops[7], again[7])
    assert not torch.equal(crops[7], crops[8])
    assert not torch.equal(crops[7], SharpCrops(photos(), 3, 48, 10, seed=2)[7])
    assert crops[0].shape == (3, 3, 48, 48)
    assert len(list(crops)) == 10


def test_broken_files_are_left_out_and_named(tmp_path):
    from PIL import Image

    for i, photo in enumerate(photos(2)):
        Image.fromarray(photo.permute(1, 2, 0).numpy()).save(tmp_path / f"good_{i}.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    (tmp_path / "text.jpg").write_text("not a photo")
    found, left_out = load_photos([tmp_path], 64)
    assert len(found) == 2
    assert sorted(line.split(":")[0].rsplit("/", 1)[1] for line in left_out) == ["small.png", "text.jpg"]
    assert torch.equal(found[0], photos(2)[0])
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "text.jpg").write_text("not a photo")
    with pytest.raises(DataError, match="no usable photograph"):
        load_photos([tmp_path / "bad"], 64)


def test_config_files_are_read_strictly(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('size = "msgd-fast"\nsteps = 5\n[blur]\nstill_share = 0.5\n')
    config = load_config(path, seed=3, steps=None)
    assert (config.steps, config.seed, config.blur.still_share) == (5, 3, 0.5)
    for text, words in [
        ("stepz = 5", "a.toml: unknown key 'stepz'; did you mean 'steps'"),
        ("[blur]\nstill = 1", "a.toml: blur: unknown key 'still'"),
        ("steps = 0", "steps is 0"),
        ('size = "huge"\nstage = "predictor"', "unknown model size 'huge'"),
        ('size = "msgd-s"\nstage = "predictor"', "this model has none"),
        ("steps = ", "not valid TOML"),
    ]:
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            load_config(path)
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_config(tmp_path / "none.toml")


def test_margin_fits_the_crops(tmp_path):
    """The synthesiser gets exactly what it asks for, and gives crop_px back."""
    run = trainer(CONFIG, tmp_path / "run")
    blurry, sharp = next(iter(run._batches()))
    assert blurry.shape == sharp.shape == (2, 3, 32, 32)
    assert run.synthesiser.margin_px == BlurSynthesiser(BLUR).margin_px
