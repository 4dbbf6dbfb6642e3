"""Means of frames against closed forms, and windows against slices."""

from __future__ import annotations

import itertools
import weakref

import numpy as np
import pytest

from resharp.data.averaging import (
    CURVES,
    Window,
    average_frames,
    average_windows,
    decode,
    encode,
    frame_counts,
    windows,
)
from resharp.data.frames import Frame
from resharp.errors import ConfigError, DataError

# The curves once more, as their definitions are written, for one number.
TO_LIGHT = {
    "gamma": lambda v: v**2.2,
    "linear": lambda v: v,
    "srgb": lambda v: v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4,
}
TO_VALUE = {
    "gamma": lambda v: v ** (1 / 2.2),
    "linear": lambda v: v,
    "srgb": lambda v: 12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055,
}


def flat(value: int, height: int = 2, width: int = 3) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def noise(count: int, height: int = 5, width: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("count", [1, 7, 15, 101])
def test_constant_frames_give_the_same_constant(curve, count):
    every_value = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert np.array_equal(average_frames([every_value] * count, curve), every_value)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(("dark", "bright"), [(0, 255), (3, 9), (10, 200), (128, 130)])
def test_two_levels_that_alternate_give_the_mean_light(curve, dark, bright):
    frames = [flat(dark if i % 2 == 0 else bright) for i in range(7)]
    light = (4 * TO_LIGHT[curve](dark / 255) + 3 * TO_LIGHT[curve](bright / 255)) / 7
    assert np.array_equal(average_frames(frames, curve), flat(round(255 * TO_VALUE[curve](light))))


def test_known_numbers():
    """Half the light of white: 255 * 0.5 ** (1 / 2.2) = 186.08; sRGB 187.52; linear 127.5, to even."""
    frames = [flat(0), flat(255)]
    assert [int(average_frames(frames, curve)[0, 0, 0]) for curve in ("gamma", "srgb", "linear")] == [186, 188, 128]
    assert average_frames(frames)[0, 0, 0] == 186, "gamma is the default"


@pytest.mark.parametrize("count", [7, 9, 15])
def test_a_moving_point_becomes_a_line_of_known_brightness(count):
    frames = []
    for i in range(count):
        frame = flat(0, 3, count + 4)
        frame[1, 2 + i] = 255
        frames.append(frame)
    expected = flat(0, 3, count + 4)
    expected[1, 2 : 2 + count] = round(255 * (1 / count) ** (1 / 2.2))
    assert np.array_equal(average_frames(frames, "gamma"), expected)
    expected[1, 2 : 2 + count] = round(255 / count)
    assert np.array_equal(average_frames(frames, "linear"), expected)


def test_channels_and_pixels_stay_apart():
    frames = noise(9)
    mean = average_frames(frames, "linear")
    assert np.array_equal(mean, np.rint(frames.mean(axis=0)).astype(np.uint8))
    assert mean.dtype == np.uint8


def test_light_is_never_less_than_the_mean_of_values():
    """Jensen: decoding is convex, so the linear-light mean is the brighter one."""
    frames = noise(11, 40, 40)
    gamma, linear = (average_frames(frames, curve).astype(int) for curve in ("gamma", "linear"))
    assert (gamma >= linear).all()
    assert (gamma - linear).mean() > 10


def test_the_order_of_frames_makes_no_difference():
    frames = noise(15)
    assert np.array_equal(average_frames(frames), average_frames(frames[::-1]))


@pytest.mark.parametrize("curve", CURVES)
def test_curves_are_inverses_and_keep_the_ends(curve):
    values = np.linspace(0, 1, 1001)
    assert np.allclose(encode(decode(values, curve), curve), values, atol=1e-7)
    assert decode(np.array([0.0, 1.0]), curve).tolist() == [0.0, 1.0]


def test_srgb_follows_the_standard():
    assert decode(np.array([0.5]), "srgb")[0] == pytest.approx(0.214041, abs=1e-6)
    assert decode(np.array([0.04]), "srgb")[0] == pytest.approx(0.04 / 12.92)


def test_average_refuses_what_is_not_frames():
    with pytest.raises(ValueError, match="no frames"):
        average_frames([])
    with pytest.raises(ValueError, match="unequal size"):
        average_frames([flat(0), flat(0, 3, 3)])
    with pytest.raises(ValueError, match="float32"):
        average_frames([flat(0).astype(np.float32)])
    with pytest.raises(ValueError, match="expected a frame"):
        average_frames([flat(0)[:, :, :1]])
    with pytest.raises(ConfigError, match="'rec709'; allowed: gamma, linear, srgb"):
        average_frames([flat(0)], "rec709")


@pytest.mark.parametrize(
    ("text", "counts"), [("11", (11,)), ("7..15", (7, 9, 11, 13, 15)), (" 3 .. 3 ", (3,)), ("2001", (2001,))]
)
def test_frame_counts(text, counts):
    assert frame_counts(text) == counts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("8", "8 is even, so no frame is in the middle; take 7 or 9"),
        ("7..14", "14 is even, so no frame is in the middle; take 13 or 15"),
        ("6..15", "6 is even, so no frame is in the middle; take 5 or 7"),
        ("4", "take 3 or 5"),
        ("1", "1 is too few"),
        ("2", "2 is too few"),
        ("15..7", "runs backwards; write 7..15"),
        ("7-15", "give a number such as 11, or a range 7..15"),
        ("-7", "not understood"),
        ("", "not understood"),
        ("7..", "not understood"),
        ("٧", "not understood"),
    ],
)
def test_frame_counts_refused(text, words):
    with pytest.raises(ConfigError) as caught:
        frame_counts(text)
    assert words in str(caught.value)


def first_windows(count: int, *args: object) -> list[Window]:
    return list(itertools.islice(windows(*args), count))


def test_windows_follow_each_other_without_overlap():
    assert first_windows(3, (7,), None, 0, "a") == [Window(1, 0, 7), Window(2, 7, 7), Window(3, 14, 7)]
    drawn = first_windows(200, (7, 9, 11), None, 0, "a")
    for one, after in itertools.pairwise(drawn):
        assert after.first == one.last + 1
    assert {window.count for window in drawn} == {7, 9, 11}


def test_windows_start_a_stride_apart():
    assert [window.first for window in first_windows(4, (3, 5), 2, 0, "a")] == [0, 2, 4, 6]


def test_the_middle_has_as_many_frames_before_as_after():
    for window in first_windows(50, (3, 5, 15), None, 0, "a"):
        assert window.middle - window.first == window.last - window.middle == window.count // 2


def test_draws_depend_on_seed_and_sequence_and_nothing_else():
    counts = (7, 9, 11, 13, 15)
    drawn = [window.count for window in first_windows(8, counts, None, 0, "clip")]
    # As it is now and must stay: a set is made again from its settings.
    assert drawn == [15, 9, 15, 9, 15, 13, 7, 7]
    assert drawn == [window.count for window in first_windows(8, counts, 1, 0, "clip")]
    assert drawn != [window.count for window in first_windows(8, counts, None, 1, "clip")]
    assert drawn != [window.count for window in first_windows(8, counts, None, 0, "clap")]


def test_draws_are_equally_likely():
    drawn = [window.count for window in first_windows(5000, (7, 9, 11, 13, 15), None, 3, "a")]
    for count in (7, 9, 11, 13, 15):
        assert drawn.count(count) == pytest.approx(1000, abs=5 * np.sqrt(5000 * 0.2 * 0.8))


def as_frames(pixels: np.ndarray, reads: list[int] | None = None) -> list[Frame]:
    def read(i: int) -> np.ndarray:
        if reads is not None:
            reads.append(i)
        return pixels[i].copy()

    return [Frame(f"frame{i}.png", lambda i=i: read(i)) for i in range(len(pixels))]


def everything(window: Window) -> bool:
    return True


@pytest.mark.parametrize("stride", [None, 1, 4, 12])
def test_windows_are_averaged_as_slices_are(stride):
    pixels = noise(60)
    planned = first_windows(100, (3, 5, 9), stride, 0, "a")
    made = dict(average_windows(as_frames(pixels), iter(planned), "srgb", everything))
    # Those that end within the frames, and no other.
    assert set(made) == {window for window in planned if window.last < 60}
    for window, pair in made.items():
        assert np.array_equal(pair.sharp, pixels[window.first + window.count // 2])
        assert np.array_equal(pair.blurry, average_frames(pixels[window.first : window.last + 1], "srgb"))


def test_windows_that_are_not_wanted_are_not_read():
    reads: list[int] = []
    planned = windows((5,), None, 0, "a")
    frames = as_frames(noise(20), reads)
    made = list(average_windows(frames, planned, "gamma", lambda window: window.index == 3))
    assert [(window.index, pair is not None) for window, pair in made] == [
        (1, False),
        (2, False),
        (3, True),
        (4, False),
    ]
    assert reads == [0, 10, 11, 12, 13, 14]  # the first one for its size


def test_frames_between_windows_are_not_read():
    reads: list[int] = []
    list(average_windows(as_frames(noise(20), reads), windows((3,), 8, 0, "a"), "gamma", everything))
    assert reads == [0, 1, 2, 8, 9, 10, 16, 17, 18]


def test_few_frames_are_held_at_once():
    alive: list[weakref.ref] = []
    most = 0

    def read() -> np.ndarray:
        nonlocal most
        most = max(most, 1 + sum(reference() is not None for reference in alive))
        pixels = flat(7)
        alive.append(weakref.ref(pixels))
        return pixels

    frames = (Frame("frame", read) for _ in range(500))
    assert sum(1 for _ in average_windows(frames, windows((101,), None, 0, "a"), "gamma", everything)) == 4
    # The one being read, the one before it, the middle of this window and of the pair handed out last.
    assert most <= 4


def test_frames_of_unequal_size_are_refused_by_name():
    frames = [*as_frames(noise(3)), Frame("odd one.png", lambda: flat(0, 6, 8))]
    with pytest.raises(DataError, match=r"odd one\.png: is 8x6, but the sequence began with 4x5"):
        list(average_windows(frames, windows((3,), None, 0, "a"), "gamma", everything))
    # Also where going on after an interruption leaves out the first pair.
    frames += [Frame("odd too.png", lambda: flat(0, 6, 8))] * 2
    with pytest.raises(DataError, match=r"odd one\.png"):
        list(average_windows(frames, windows((3,), None, 0, "a"), "gamma", lambda window: window.index > 1))
