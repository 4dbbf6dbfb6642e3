"""Sizes, estimates, the line, and who is given which file."""

from __future__ import annotations

import threading
import time

import pytest

from resharp.diffusion.presets import Preset
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ImageError
from resharp.pipeline import DeblurPipeline
from resharp.serialization import Defaults
from resharp.web.estimate import Costs, Estimator, calibrate, network_calls
from resharp.web.limits import Limits, parse_size
from resharp.web.line import BusyError, Line
from resharp.web.service import Asked
from resharp.web.visitors import NotYoursError, Visitors, safe_name


@pytest.mark.parametrize(
    ("text", "size"),
    [("50MB", 50_000_000), ("1.5 GB", 1_500_000_000), ("64MiB", 64 * 2**20), ("1000", 1000), ("2kb", 2000)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "0", "5 parsecs", "1e9", "50MBB", "0.1"])
def test_sizes_that_are_none(text):
    with pytest.raises(ConfigError, match="50MB"):
        parse_size(text)


@pytest.mark.parametrize("bad", [{"max_pixels": 0}, {"timeout_s": 0}, {"timeout_s": float("nan")}, {"max_waiting": -1}])
def test_limits_that_are_none(bad):
    with pytest.raises(ConfigError, match="allowed"):
        Limits(**bad)


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        (Preset(output="input"), (0, 0)),
        (Preset(output="predictor"), (1, 0)),
        (Preset(output="predictor", ensemble=8), (8, 0)),
        (Preset(steps=2, samples=4), (1, 8)),
        (Preset(steps=3, samples=1, fidelity=0.5, ensemble=8), (9, 3)),
    ],
)
def test_network_calls_are_those_of_the_pipeline(settings, calls):
    assert network_calls(settings) == calls


def test_an_estimate_grows_with_pixels_and_calls_and_learns_from_runs():
    estimator = Estimator(Costs(predictor=2.0, denoiser=3.0, handling=0.5))
    predictor = Preset(output="predictor")
    assert estimator.seconds(1000, 1000, predictor) == pytest.approx(2.5)
    assert estimator.seconds(2000, 1000, predictor) == pytest.approx(5.0)
    assert estimator.seconds(1000, 1000, Preset(steps=2, samples=2)) == pytest.approx(14.5)
    estimator.learn(1000, 1000, predictor, 5.0)
    assert estimator.seconds(1000, 1000, predictor) == pytest.approx(5.0)
    estimator.learn(1000, 1000, predictor, 2.5)
    assert 2.5 < estimator.seconds(1000, 1000, predictor) < 5.0
    estimator.learn(0, 0, predictor, 1.0)
    estimator.learn(1000, 1000, predictor, 1e9)
    assert estimator.seconds(1000, 1000, predictor) < 60


def test_calibration_finds_what_the_parts_cost(tiny_model):
    pipeline = DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="predictor", steps=2))
    stop = threading.Event()
    costs = calibrate(pipeline, stop).costs
    assert min(costs.predictor, costs.denoiser, costs.handling) > 0
    stop.set()
    assert calibrate(pipeline, stop) is None
    tiny_model.denoiser = None
    assert calibrate(DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="predictor"))).costs.denoiser == 0


def test_what_is_asked_of_the_pipeline():
    assert Asked("best").settings() == {
        "quality": "best",
        "fidelity": None,
        "samples": None,
        "steps": None,
        "seed": 0,
    }
    drawn = Asked("draft", samples=4, steps=3, seed=7).settings()
    assert drawn == {"quality": "draft", "fidelity": None, "samples": 4, "steps": 3, "seed": 7}
    assert Asked(fidelity=0.5).settings()["fidelity"] == 0.5
    assert Asked(fidelity=0.5).settings()["samples"] == 1


def test_the_line_is_first_come_first_served_and_bounded():
    line = Line(places=1, longest=2)
    first, second, third = line.join(), line.join(), line.join()
    assert line.enter(first, 0)
    with pytest.raises(BusyError):
        line.join()
    assert not line.enter(third, 0.01)
    assert [line.before(each) for each in (second, third)] == [0, 1]
    line.leave(second)
    assert not line.enter(third, 0.01)
    threading.Timer(0.05, line.leave, [first]).start()
    assert line.enter(third, 5)
    line.leave(third)
    line.leave(third)
    assert line.enter(line.join(), 0)
    assert not line.enter(line.join(), 0.01)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("IMG 1.JPG", "IMG 1.JPG"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a.png", "a.png"),
        ("사진.jpg", "사진.jpg"),
        ("", "photo"),
        ("..", "photo"),
        ("a\x00b\n.jpg", "a_b_.jpg"),
        (".hidden", "hidden"),
    ],
)
def test_names_are_made_safe(name, safe):
    assert safe_name(name) == safe


def test_a_very_long_name_keeps_its_suffix():
    assert safe_name("사" * 500 + ".jpeg").endswith(".jpeg")
    assert len(safe_name("a" * 500 + "." + "b" * 500).encode()) < 128


@pytest.fixture
def visitors(tmp_path):
    made = Visitors(Limits(grace_s=0.05, idle_s=60, max_upload_bytes=1000), parent=tmp_path)
    yield made
    made.close()


def test_tokens_cannot_be_made_up(visitors, tmp_path):
    token = visitors.new_visitor()
    assert visitors.visitor(token) == token.split(".")[0]
    name, sign = token.split(".")
    wrong = [None, "", name, f"{name}.", f"{name}.{'0' * 64}", f"{'0' * 32}.{sign}", f"../x.{sign}", "é.é"]
    assert [visitors.visitor(each) for each in wrong] == [None] * len(wrong)
    other = Visitors(Limits(), parent=tmp_path)
    assert other.visitor(token) is None
    other.close()
    assert (visitors.root.stat().st_mode & 0o077) == 0


def test_a_session_and_its_files_belong_to_the_first_who_came(visitors):
    me, you = (visitors.visitor(visitors.new_visitor()) for _ in range(2))
    tab = visitors.tab("session1", me)
    with pytest.raises(NotYoursError):
        visitors.tab("session1", you)
    with pytest.raises(NotYoursError):
        visitors.tab("../../x/y", me)
    path = tab.new_path("a.jpg")
    path.write_bytes(b"mine")
    assert visitors.owns(me, str(path))
    assert not visitors.owns(you, str(path))
    assert not visitors.owns(me, str(path.parent))
    assert not visitors.owns(me, str(path) + "x")
    assert not visitors.owns(me, "/etc/hostname")
    assert not visitors.owns(me, "\0")
    link = tab.new_path("link")
    link.symlink_to("/etc/hostname")
    assert not visitors.owns(me, str(link))
    theirs = visitors.tab("session2", you).new_path("b.jpg")
    theirs.write_bytes(b"yours")
    assert not visitors.owns(me, f"{tab.folder}/../../{theirs.relative_to(visitors.root)}")


def test_an_upload_is_taken_once_and_by_its_owner(visitors):
    me, you = (visitors.visitor(visitors.new_visitor()) for _ in range(2))
    key, path = visitors.inbox(me, "a.jpg")
    path.write_bytes(b"mine")
    for stranger in (you, you[::-1]):
        with pytest.raises(ImageError):
            visitors.take(visitors.tab(f"session-{stranger}", stranger), key)
    taken = visitors.take(visitors.tab("session1", me), key)
    assert taken.read_bytes() == b"mine"
    assert not path.exists()
    for gone in (key, "../inbox", ""):
        with pytest.raises(ImageError, match="no longer here"):
            visitors.take(visitors.tab("session1", me), gone)


def test_all_uploads_together_are_bounded(visitors):
    me = visitors.visitor(visitors.new_visitor())
    for _ in range(41):
        visitors.inbox(me, "a.jpg")[1].write_bytes(b"x" * 1000)
    with pytest.raises(NotYoursError, match="too many photos"):
        visitors.inbox(me, "a.jpg")


def test_files_go_after_the_page_was_closed_and_a_phone_that_wakes_keeps_them(visitors):
    me = visitors.visitor(visitors.new_visitor())
    tab = visitors.tab("session1", me)
    visitors.sweep()
    assert tab.folder.is_dir()
    visitors.leave("session1")
    assert visitors.tab("session1", me) is tab
    time.sleep(0.1)
    visitors.sweep()
    assert tab.folder.is_dir()
    tab.stop = threading.Event()
    visitors.leave("session1")
    time.sleep(0.1)
    visitors.sweep()
    assert not tab.folder.exists()
    assert tab.stop.is_set()
    assert visitors.tab("session1", me) is not tab


def test_an_upload_that_nobody_takes_goes(visitors):
    _, path = visitors.inbox(visitors.visitor(visitors.new_visitor()), "a.jpg")
    path.write_bytes(b"x")
    visitors.sweep()
    assert path.exists()
    time.sleep(0.1)
    visitors.sweep()
    assert not path.exists()


def test_a_closed_page_keeps_nothing(visitors):
    visitors.tab("session1", visitors.visitor(visitors.new_visitor())).new_path("a.jpg").write_bytes(b"x")
    visitors.close()
    assert not visitors.root.exists()
