"""What must not spoil a run: gradients that are not finite, photographs that cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from resharp.errors import DataError, TrainingError
from runs import CONFIG, sharp_listing, trainer, weights


def poisoned(run, steps):
    """The run, with a NaN in the batch of these steps."""
    whole = run.parts

    class Poison:
        synthesiser = whole.synthesiser

        def __call__(self, first, last):
            for step, parts in zip(range(first, last), whole(first, last), strict=True):
                if step in steps:
                    parts[0].y[0, 0, 0, 0] = torch.nan
                yield parts

    run.parts = Poison()
    return run


def test_a_step_without_finite_gradient_changes_nothing_but_is_counted(tmp_path):
    run = poisoned(trainer(CONFIG, tmp_path / "run"), {2})
    run.run(until=2)
    state = {name: value.clone() for name, value in run.engine.model.state_dict().items()}
    moments = str(run.engine.optimizer.state_dict())
    again = poisoned(trainer(CONFIG, tmp_path / "run"), {2})
    again.run(until=3)
    assert all(torch.equal(state[name], value) for name, value in again.engine.model.state_dict().items())
    assert str(again.engine.optimizer.state_dict()) == moments
    assert again.skipped == 1
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    told = next(line["event"] for line in events if "event" in line)
    assert told.startswith("step 2: loss or gradient is not finite; the step is skipped (1 so far), batch: ")
    assert str(tmp_path / "photos") in told
    resumed = trainer(CONFIG, tmp_path / "run")
    assert resumed.skipped == 1
    resumed.run()
    assert weights(tmp_path / "run")


def test_a_run_stops_after_too_many_such_steps(tmp_path):
    run = poisoned(trainer(replace(CONFIG, max_skipped_steps=2), tmp_path / "run"), {1, 2, 4})
    with pytest.raises(TrainingError, match=r"step 4: .* in 3 steps, more than max_skipped_steps = 2; .*\.png"):
        run.run()


def test_unreadable_photographs_are_quarantined_and_training_goes_on(tmp_path):
    listing = sharp_listing(tmp_path / "photos", 6)
    # The header is whole, so that only reading the photograph finds out.
    for name in ("1.png", "3.png"):
        path = tmp_path / "photos" / name
        path.write_bytes(path.read_bytes()[:-300])
    config = replace(CONFIG, cache_gb=0.0)
    from resharp.data.folders import FolderSource
    from resharp.train.loop import Trainer

    source = FolderSource([listing], cache_gb=0.0)
    told = []
    run = Trainer(config, source, [], tmp_path / "run", device=torch.device("cpu"), report=told.append)
    run.run()
    lines = (tmp_path / "run" / "quarantine.txt").read_text().splitlines()
    assert sorted(line.split(":")[0].rsplit("/", 1)[1] for line in lines) == ["1.png", "3.png"]
    assert sum(line.startswith("left out: ") for line in told) == 2
    again = Trainer(config, FolderSource([listing], cache_gb=0.0), [], tmp_path / "run2", device=torch.device("cpu"))
    again.run(until=3)
    Trainer(config, FolderSource([listing], cache_gb=0.0), [], tmp_path / "run2", device=torch.device("cpu")).run()
    assert weights(tmp_path / "run") == weights(tmp_path / "run2")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_that_has_become_unreadable_ends_the_run(tmp_path, workers):
    from resharp.data.folders import FolderSource
    from resharp.train.loop import Trainer

    listing = sharp_listing(tmp_path / "photos", 3)
    source = FolderSource([listing], cache_gb=0.0)
    for entry in listing.entries:
        entry.sharp.write_bytes(b"gone")
    quiet = {"device": torch.device("cpu"), "report": lambda line: None, "workers": workers}
    run = Trainer(CONFIG, source, [], tmp_path / "run", **quiet)
    with pytest.raises(DataError, match=r"^20 photographs in a row cannot be used.*\)$"):
        run.run()
