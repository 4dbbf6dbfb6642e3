"""Cards and uploads: what a card must have, and models to a Hub on this machine and back through the real client."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from huggingface_hub import ModelCard

from local_hub import local_hub
from resharp import DeblurPipeline
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ModelError
from resharp.hub import MODEL_FILES, shipped_models
from resharp.model_card import CardFacts, missing_from, model_card
from resharp.publishing import check_publishable
from resharp.serialization import Defaults
from resharp.task import Task

FACTS = CardFacts("cc-by-4.0", ("GOPRO_Large (CC BY 4.0)", "my photos"), scores="| PSNR |", metrics=("psnr",))


@pytest.fixture
def pipeline(tiny_model):
    return DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="predictor", steps=2), Task(("noise",)))


def card_of(pipeline, facts=FACTS) -> str:
    return model_card("me/mine", pipeline.model, pipeline.schedule, pipeline.defaults, pipeline.task, facts)


def test_a_made_card_is_complete_and_the_hub_can_read_it(pipeline):
    card = card_of(pipeline)
    assert missing_from(card) == []
    read = ModelCard(card)
    assert (read.data.license, read.data.library_name) == ("cc-by-4.0", "resharp")
    assert (read.data.pipeline_tag, read.data.metrics) == ("image-to-image", ["psnr"])
    for words in ("- GOPRO_Large (CC BY 4.0)\n- my photos", "2212.01789", 'from_pretrained("me/mine")', "| PSNR |"):
        assert words in card
    assert f"{pipeline.model.parameter_count():,} parameters" in card
    assert "None have been measured." in card_of(pipeline, CardFacts("mit", ("a",)))


@pytest.mark.parametrize("name", shipped_models())
def test_cards_of_shipped_models_are_complete(name):
    check_publishable(shipped_models()[name], "owner/name")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("license: cc-by-4.0", "licence: mine", "the field 'license'"),
        ("library_name: resharp\n", "", "the field 'library_name'"),
        ("## Limits", "## Merits", "the section '## Limits'"),
        ("| PSNR |", "", "the section '## Scores'"),
    ],
)
def test_what_a_card_lacks_is_named(pipeline, tmp_path, old, new, says):
    card = card_of(pipeline).replace(old, new)
    assert len(missing_from(card)) == 1
    pipeline.save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text(card)
    with pytest.raises(ModelError, match=says):
        check_publishable(tmp_path, "me/mine")


def test_the_card_says_what_is_restored(pipeline):
    parts = (pipeline.model, pipeline.schedule, pipeline.defaults)
    card = model_card("me/mine", *parts, Task(("low resolution", "noise"), 4), FACTS)
    assert "For photos that suffer from low resolution (x4) and noise." in card
    assert "resharp restore photo.jpg" in card


def test_facts_that_nobody_can_do_without():
    with pytest.raises(ConfigError, match="licence"):
        CardFacts("", ("a",))
    with pytest.raises(ConfigError, match="training data"):
        CardFacts("mit", (" ",))


def test_folders_and_ids_that_are_refused(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="README.md: no readable model card"):
        check_publishable(tmp_path, "me/mine")
    with pytest.raises(ModelError, match="it is owner/name"):
        check_publishable(tmp_path, "mine")


def client(code: str, home, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run with a clean cache; the address of the Hub is read when huggingface_hub is imported."""
    hidden = {"HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HTTP_PROXY", "http_proxy"}
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    clean |= {"HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1", **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean, timeout=300)


def test_to_the_hub_and_back(pipeline, tmp_path):
    folder = tmp_path / "model"
    pipeline.save_pretrained(folder)
    (folder / "optimizer.pickle").write_bytes(b"not for others")
    (folder / "README.md").write_text(card_of(pipeline))
    program = "import sys; from resharp.cli.main import run; sys.exit(run(sys.argv[1:]))"
    push = f"import sys; sys.argv[1:] = ['push', {str(folder)!r}, 'me/mine', '--private', '--json']; {program}"
    load = (
        "import torch; from resharp import DeblurPipeline; from resharp.model_card import CardFacts\n"
        "p = DeblurPipeline.from_pretrained('me/mine')\n"
        f"torch.save(p.restore(torch.linspace(0, 1, 768).view(1, 3, 16, 16)).image, {str(tmp_path / 'result.pt')!r})\n"
        "print(p.push_to_hub('me/again', CardFacts('mit', ('own photos',)), token='hf_test'))"
    )
    with local_hub() as (address, hub):
        refused = client(push, tmp_path / "none", HF_ENDPOINT=address)
        assert (refused.returncode, hub.repositories) == (1, {})
        assert "me/mine: the Hub did not take it" in refused.stderr
        sent = client(push, tmp_path / "one", HF_ENDPOINT=address, HF_TOKEN="hf_test")
        assert sent.returncode == 0, sent.stderr
        assert f"{address}/me/mine/commit/" in sent.stdout
        assert set(hub.repositories["me/mine"]) == set(MODEL_FILES)
        assert hub.private["me/mine"]
        hub.repositories["me/mine"]["evil.pickle"] = b"x"
        loaded = client(load, tmp_path / "two", HF_ENDPOINT=address)
        assert loaded.returncode == 0, loaded.stderr
        assert not [line for line in hub.asked if "evil" in line]
        assert missing_from(hub.repositories["me/again"]["README.md"].decode()) == []
        assert hub.repositories["me/again"]["config.json"] == hub.repositories["me/mine"]["config.json"]
    expected = pipeline.restore(torch.linspace(0, 1, 768).view(1, 3, 16, 16)).image
    assert torch.equal(torch.load(tmp_path / "result.pt"), expected)
