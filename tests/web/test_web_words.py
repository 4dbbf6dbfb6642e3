"""Both languages say everything, and say what `resharp deblur` says."""

from __future__ import annotations

import inspect
import re
import string
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "assessment"))
from hard_cases import CASES, blurry_shapes, sharp_shapes

from resharp.assessment import report, trusting
from resharp.diffusion.schedule import NoiseSchedule
from resharp.images import extras, holding
from resharp.picture import NO_BLUR, restore_file
from resharp.pipeline import DeblurPipeline
from resharp.serialization import Defaults
from resharp.web import remarks
from resharp.web.words import LANGUAGES, TABLES, pick_language, say, say_seconds


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_keys_with_the_same_values_filled_in():
    english, korean = TABLES["en"], TABLES["ko"]
    assert english.keys() == korean.keys()
    assert set(LANGUAGES.values()) == TABLES.keys()
    for key, text in english.items():
        assert fields(text) == fields(korean[key]), key
        assert text.strip()
        assert korean[key].strip()
    same = {key for key, text in english.items() if korean[key] == text}
    assert same == set()


def test_every_key_is_used():
    source = "".join(path.read_text(encoding="utf-8") for path in Path(remarks.__file__).parent.glob("*.py"))
    uses = source.replace((Path(remarks.__file__).parent / "words.py").read_text(encoding="utf-8"), "")
    uses += inspect.getsource(say_seconds)
    made = {f"made_{part}" for part in ("predictor", "diffusion", "input")} | {"stop", "another"}
    made |= {f"drop{kind}{several}" for kind in ("", "_hint") for several in ("", "_several")}
    unused = TABLES["en"].keys() - set(re.findall(r"['\"](\w+)['\"]", uses)) - made
    assert unused <= {"draft", "standard", "best"}  # by the names of the qualities


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("de-DE,de;q=0.9,ko;q=0.8,en;q=0.5", "ko"),
        ("fr, de", "en"),
        ("ko;q=0, en;q=0.1", "en"),
        ("en;q=x, ko;q=0.3", "ko"),
        (";;q=,,", "en"),
    ],
)
def test_the_language_is_the_wished_one(header, language):
    assert pick_language(header) == language


def test_seconds_are_said_as_people_say_them():
    assert [say_seconds("en", each) for each in (0.2, 4.4, 89, 100)] == [
        "Less than a second",
        "About 4 s",
        "About 89 s",
        "About 2 min",
    ]
    assert say_seconds("ko", 4.4) == "약 4초"


def test_every_reason_of_the_assessment_has_words():
    for module, function in ((report, report._reasons), (trusting, trusting.trust)):
        code = inspect.getsource(function)
        assert code.count("append(") + code.count("found +=") >= 4, f"{module.__name__} gives its reasons elsewhere"
    reasons = [f"smaller than {report.LEAST_SIDE_PX} px", "night with bright lights", "too dark"]
    reasons += ["drawn, text or a screenshot", "large areas clipped to white or full colour"]
    reasons += ["strong noise or grain", "blur wider than the model has seen", "no motion blur found"]
    source = inspect.getsource(report) + inspect.getsource(trusting)
    for reason in reasons[1:]:
        assert f'"{reason}"' in source, f"the assessment no longer says {reason!r}"
    reasons += ["blurred again it explains 34% of the photo", "samples differ by 9 levels of 255"]
    for reason in reasons:
        assert remarks.say_reason("en", reason) == reason
        assert remarks.say_reason("ko", reason) != reason


def test_everything_that_may_be_left_out_has_words():
    found = {**vars(extras), **vars(holding)}
    names = {value for name, value in found.items() if re.fullmatch("[A-Z][A-Z_]+", name) and isinstance(value, str)}
    names.discard(holding.COMMENT)  # a keyword in files
    assert names == set(remarks._DROPPED)
    assert {say("en", remarks._DROPPED[name]) for name in names} == names


def save(picture: torch.Tensor, path: Path) -> Path:
    pixels = (picture[0].permute(1, 2, 0).nan_to_num().clamp(0, 1) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def pipeline(tiny_model):
    return DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="predictor", steps=2))


PICTURES = {**CASES, "sharp": sharp_shapes, "blurry": blurry_shapes}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("samples", [None, 2])
def test_the_page_says_in_english_what_the_program_says(pipeline, tmp_path, name, samples):
    made = PICTURES[name]() if callable(PICTURES[name]) else PICTURES[name]
    picture = made[0] if isinstance(made, tuple) else made
    source = save(picture, tmp_path / "a.png")
    settings = {"samples": samples, "seed": 0}
    result = restore_file(pipeline, source, tmp_path / "b.png", settings, guard=True)
    force = say("en", "force")
    expected = result.remark and result.remark.replace("--force restores", f"“{force}” restores")
    assert remarks.remark("en", result) == expected
    korean = remarks.remark("ko", result)
    assert (korean is None) == (result.remark is None)
    assert korean is None or not any(word in korean for word in ("the ", "photo", "result"))
    assert remarks.level(result) in ("good", "doubtful", "poor", "same")
    assert remarks.facts("ko", result)
    assert remarks.facts("en", result)


def test_a_photo_passed_through_is_told_as_such(pipeline, tmp_path):
    noise = 0.01 * torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    source = save(sharp_shapes() * 0.9 + 0.05 + noise, tmp_path / "a.png")
    result = restore_file(pipeline, source, tmp_path / "b.png", {"seed": 0}, guard=True)
    assert result.remark == NO_BLUR
    assert remarks.level(result) == "same"
    assert "unchanged" in str(remarks.remark("en", result))
    assert say("ko", "force") in str(remarks.remark("ko", result))
