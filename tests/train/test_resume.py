"""A run that was interrupted, however and whenever, ends with the bytes of one that was not."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import replace

import pytest

from resharp.errors import ConfigError, DataError, ModelError, OutputError
from resharp.train.checkpoint import checkpoint_paths, load_checkpoint
from resharp.train.resume import differences
from runs import CONFIG, pair_listing, rectangles, save, sharp_listing, trainer, weights


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("kind", [sharp_listing, pair_listing])
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path, workers, kind):
    listing = kind(tmp_path / "data")
    trainer(CONFIG, tmp_path / "whole", listing=listing).run()
    first = trainer(CONFIG, tmp_path / "parts", listing=listing, workers=workers)
    first.run(until=4)
    assert first.step == 4
    resumed = trainer(CONFIG, tmp_path / "parts", listing=listing, workers=workers)
    assert resumed.step == 4
    resumed.run()
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    whole, parts = (load_checkpoint(checkpoint_paths(tmp_path / name)[0]) for name in ("whole", "parts"))
    assert str(whole["optimizer"]) == str(parts["optimizer"])


def test_steps_after_the_checkpoint_are_done_again(tmp_path):
    trainer(CONFIG, tmp_path / "whole").run()
    crashed = trainer(CONFIG, tmp_path / "parts")
    crashed.run(until=3)
    for step, parts in enumerate(crashed.parts(3, 5), start=3):  # as a killed process: done and never saved
        crashed.engine.step(step, parts)
        crashed.log(step + 1, {"total": 1.0}, "train")
    resumed = trainer(CONFIG, tmp_path / "parts")
    assert resumed.step == 3
    resumed.run()
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps.count(4) == 1


def test_the_order_of_parts_does_not_depend_on_where_a_run_was_interrupted(tmp_path):
    config = replace(CONFIG, batch_size=4, micro_batch_size=2)
    trainer(config, tmp_path / "whole").run()
    trainer(config, tmp_path / "parts").run(until=1)
    trainer(config, tmp_path / "parts").run()
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")


def test_a_finished_run_is_left_as_it_is(tmp_path):
    trainer(CONFIG, tmp_path / "run").run()
    before = weights(tmp_path / "run")
    assert trainer(CONFIG, tmp_path / "run").run() == ""
    assert weights(tmp_path / "run") == before


def test_a_longer_run_goes_on_where_a_shorter_one_ended(tmp_path):
    """Without decay of the learning rate, the number of steps decides nothing but the end."""
    trainer(CONFIG, tmp_path / "whole").run()
    trainer(replace(CONFIG, steps=4), tmp_path / "parts").run()
    trainer(CONFIG, tmp_path / "parts").run()
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    with pytest.raises(ConfigError, match="lr_decay was 'none' and is 'cosine'; steps was 6 and is 9"):
        trainer(replace(CONFIG, steps=9, lr_decay="cosine"), tmp_path / "parts")


def test_resume_with_other_settings_is_refused_and_says_which(tmp_path):
    trainer(CONFIG, tmp_path / "run").run(until=1)
    for change, words in [
        ({"lr": 1e-2}, "lr was 0.001 and is 0.01"),
        ({"blur": replace(CONFIG.blur, jpeg_share=0.9)}, "blur.jpeg_share was 0.5 and is 0.9"),
        ({"batch_size": 4, "micro_batch_size": 2}, "batch_size was 2 and is 4"),
        ({"micro_batch_size": 1}, "made with the batch in 1 parts, now it is in 2"),
    ]:
        with pytest.raises(ConfigError, match=words):
            trainer(replace(CONFIG, **change), tmp_path / "run")
    trainer(replace(CONFIG, log_every=1, keep_checkpoints=1, tracker="tensorboard"), tmp_path / "run").run()


def test_differences_look_into_tables():
    then = {"steps": 5, "lr_decay": "none", "blur": {"a": 1, "b": [1, 2]}, "size": "x", "log_every": 1}
    now = {"steps": 6, "lr_decay": "none", "blur": {"a": 2, "b": [1, 2]}, "size": "y", "log_every": 2, "new": 0}
    assert differences(then, now) == [("blur.a", 1, 2), ("new", None, 0)]


def test_a_changed_data_set_is_refused_unless_told(tmp_path):
    listing = sharp_listing(tmp_path / "photos")
    trainer(CONFIG, tmp_path / "run", listing=listing).run(until=2)
    save(rectangles(1, 170)[0], tmp_path / "photos" / "2.png")
    with pytest.raises(DataError, match="the data set has changed since .*--accept-changed-data"):
        trainer(CONFIG, tmp_path / "run", listing=listing)
    assert trainer(CONFIG, tmp_path / "run", listing=listing, accept_changed_data=True).step == 2


def test_a_broken_checkpoint_gives_way_to_the_one_before(tmp_path):
    trainer(CONFIG, tmp_path / "whole").run()
    trainer(CONFIG, tmp_path / "run").run(until=5)
    newest, older = checkpoint_paths(tmp_path / "run")
    newest.write_bytes(newest.read_bytes()[:1000])
    told = []
    resumed = trainer(CONFIG, tmp_path / "run", report=told.append)
    assert resumed.step == 3
    assert newest.name in told[0]
    resumed.run()
    assert weights(tmp_path / "whole") == weights(tmp_path / "run")
    for path in checkpoint_paths(tmp_path / "run"):
        path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelError, match="not a checkpoint, or broken"):
        trainer(CONFIG, tmp_path / "run")


def test_a_process_killed_between_two_files_leaves_a_run_that_can_be_finished(tmp_path, monkeypatch):
    trainer(CONFIG, tmp_path / "whole").run()
    run = trainer(CONFIG, tmp_path / "run")
    run.run(until=4)

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    monkeypatch.setattr("resharp.train.resume.save_checkpoint", kill)
    with pytest.raises(Killed):
        trainer(CONFIG, tmp_path / "run").run()
    monkeypatch.undo()
    resumed = trainer(CONFIG, tmp_path / "run")
    assert resumed.step == 4
    resumed.run()
    assert weights(tmp_path / "whole") == weights(tmp_path / "run")


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    trainer(CONFIG, tmp_path / "run").run(until=3)
    for place in ("checkpoints", "model", "."):
        (tmp_path / "run" / place / ".resharp-abc.pt").write_bytes(b"half")
    trainer(CONFIG, tmp_path / "run").run()
    assert not list((tmp_path / "run").rglob(".resharp-*"))


@pytest.fixture
def file_limit():
    """Set how long files may become: what a full disk is to a test that may not fill one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_training_survives_a_checkpoint_that_cannot_be_written(tmp_path, file_limit):
    trainer(CONFIG, tmp_path / "whole").run()
    run = trainer(replace(CONFIG, checkpoint_every=1), tmp_path / "run")
    run.run(until=2)
    size = checkpoint_paths(tmp_path / "run")[0].stat().st_size
    shutil.copytree(tmp_path / "run", tmp_path / "full")
    told = []
    full = trainer(replace(CONFIG, checkpoint_every=1), tmp_path / "full", report=told.append)
    file_limit(size // 2)
    with pytest.raises(OutputError, match="cannot write the checkpoint"):
        full.run(until=5)
    file_limit(resource.RLIM_INFINITY)
    assert sum("the last complete checkpoint is kept" in line for line in told) == 2
    assert [path.name for path in checkpoint_paths(tmp_path / "full")] == ["step-00000002.pt", "step-00000001.pt"]
    assert not list((tmp_path / "full").rglob(".resharp-*"))
    trainer(CONFIG, tmp_path / "full").run()
    assert weights(tmp_path / "whole") == weights(tmp_path / "full")
