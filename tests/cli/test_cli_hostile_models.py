"""Model folders from anywhere: what does not fit is refused in one line, before anything of its size is allocated."""

from __future__ import annotations

import json
import os
import shutil
import struct
import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

CONFIG, WEIGHTS, SCHEDULER = "config.json", "model.safetensors", "scheduler_config.json"
MOST_BYTES = 64 << 20


@pytest.fixture
def folder(models, tmp_path) -> Path:
    """A copy of a model to spoil."""
    return shutil.copytree(models["predictor"], tmp_path / "model")


@pytest.fixture
def refusal(resharp, folder):
    """The line with which the model is refused."""

    def call() -> str:
        ran = resharp("info", folder)
        assert ran.code == 1
        assert ran.out == ""
        assert len(ran.line) < 1000
        return ran.line

    return call


@pytest.mark.parametrize("values", [{"model__denoiser__widths": [10**9]}, {"model__denoiser__widths": [65536] * 8}])
def test_nothing_of_the_size_is_allocated_and_nothing_written(resharp, photo, folder, models, values, files):
    change(folder / CONFIG, **values)
    source = photo("a.png")
    resharp("info", models["predictor"])  # what is imported is no part of what is measured
    before = files()
    tracemalloc.start()
    ran = resharp("deblur", source, "--model", folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ran.code == 1
    assert str(folder) in ran.line
    assert peak < MOST_BYTES
    assert files() == before


def change(path: Path, **values: object) -> None:
    """Set values of a JSON file; a double underscore goes down into a table."""
    content = json.loads(path.read_text())
    for name, value in values.items():
        *above, last = name.split("__")
        table = content
        for key in above:
            table = table[key]
        table[last] = value
    path.write_text(json.dumps(content))


def header_of(folder: Path) -> tuple[dict, bytes]:
    data = (folder / WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_header(folder: Path, header: object, body: bytes, length: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"model__denoiser__widths": [10**9]}, "widths"),
        ({"model__denoiser__widths": [10**30, 10**30]}, "widths: a number is too large; allowed: up to 65536"),
        ({"model__denoiser__widths": [65536, 65536]}, "parameters; at most 4e+09 are allowed"),
        ({"model__denoiser__widths": [8] * 10_000}, "widths has 10000 entries; at most 8 are allowed"),
        (
            {"model__denoiser__encoder_blocks": 10**9, "model__denoiser__decoder_blocks": 10**9 + 1},
            "blocks: a number is",
        ),
        ({"model__predictor__middle_blocks": 10**12}, "middle_blocks: a number is too large"),
        ({"model__guidance__blocks": 10**9}, "blocks: a number is too large"),
        ({"model__guidance__features": 10**9}, "features and width: a number is too large"),
        ({"model__guidance__scales": list(range(1, 5000))}, "scales has 4999 entries"),
        ({"model__guidance__scales": [10**9]}, "has no level"),
        ({"model__residual_scale": float("nan")}, "expected a finite number"),
        ({"model__residual_scale": 10**400}, "expected a finite number"),
        ({"defaults__fidelity": float("inf")}, "expected a finite number"),
        ({"defaults__steps": 10**30}, "steps is 1000000000000000000000000000000; allowed: 1 to 10000"),
        ({"model": [[]]}, "expected a table"),
        ({"model__denoiser__widths": ["../../etc/passwd"]}, "expected int"),
        ({"x" * 5000: 1}, "unknown key"),
        ({"format": 2}, "not a model of this version"),
    ],
)
def test_configurations(refusal, folder, values, says):
    change(folder / CONFIG, **values)
    assert says in refusal()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"model": ' * 3000 + "1" + "}" * 3000,
        '{"format": 1' + "0" * 5000 + "}",
        '{"format": "' + "x" * 100_000 + '"}',
        "\ud800",
    ],
)
@pytest.mark.parametrize("name", [CONFIG, SCHEDULER])
def test_json_that_is_none_or_nested_or_endless(refusal, folder, name, text):
    (folder / name).write_text(text, encoding="utf-8", errors="surrogatepass")
    assert name in refusal()


def test_a_key_twice(refusal, folder):
    text = (folder / CONFIG).read_text().replace('"format": 1', '"format": 7, "format": 1')
    (folder / CONFIG).write_text(text)
    assert "not a readable JSON file ('format' is there twice)" in refusal()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("name", [CONFIG, SCHEDULER, WEIGHTS])
@pytest.mark.parametrize("kind", ["pipe", "endless", "link to nowhere", "link to itself", "folder"])
def test_files_that_are_none(refusal, folder, name, kind):
    place = folder / name
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "endless":
        place.symlink_to("/dev/zero")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(folder / ("none" if kind == "link to nowhere" else name))
    assert f"{place}: " in refusal()


def test_a_json_file_of_gigabytes(refusal, folder):
    with (folder / CONFIG).open("r+b") as file:
        file.truncate(8 << 30)  # takes no room on the disk
    assert "it is larger than 16 MB" in refusal()


def test_links_within_and_out_of_the_folder_are_followed(resharp, photo, folder, tmp_path):
    """The Hub's cache is made of them."""
    for name in (CONFIG, WEIGHTS, SCHEDULER):
        shutil.move(folder / name, tmp_path / f"blob-{name}")
        (folder / name).symlink_to(tmp_path / f"blob-{name}")
    assert resharp("deblur", photo("a.png"), "--model", folder).code == 0


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**63, 2**64 - 1])
def test_headers_of_impossible_length(refusal, folder, length):
    header, body = header_of(folder)
    write_header(folder, header, body, length)
    assert "not a readable safetensors file" in refusal()


def test_a_header_of_100_megabytes(refusal, folder):
    with (folder / WEIGHTS).open("wb") as file:
        file.write(struct.pack("<Q", 200 << 20))
        file.truncate((200 << 20) + 8)
    assert "not a readable safetensors file" in refusal()


def test_weights_of_terabytes_are_not_read(refusal, folder):
    """A file that says it holds more, and has the length, is refused by its header."""
    header, _ = header_of(folder)
    name = next(key for key in header if key != "__metadata__")
    text = json.dumps({name: {"dtype": "F32", "shape": [1 << 36], "data_offsets": [0, 1 << 38]}}).encode()
    with (folder / WEIGHTS).open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        try:
            file.truncate(8 + len(text) + (1 << 38))  # a quarter of a terabyte, none of it on the disk
        except OSError:
            pytest.skip("the disk has no files of this length")
    line = refusal()
    assert "these weights belong to another model" in line or "Cannot allocate memory" in line


def test_offsets_that_overlap_or_lead_out(refusal, folder):
    header, body = header_of(folder)
    names = [key for key in header if key != "__metadata__"]
    first, second = header[names[0]], header[names[1]]
    first["data_offsets"], kept = second["data_offsets"], first["data_offsets"]
    write_header(folder, header, body)
    assert "not a readable safetensors file" in refusal()
    first["data_offsets"] = [kept[0], kept[1] + len(body)]
    write_header(folder, header, body)
    assert "not a readable safetensors file" in refusal()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\u0000b", "x" * 20_000, ""])
def test_names_of_tensors_are_names_and_no_paths(refusal, folder, name):
    weights = load_file(folder / WEIGHTS)
    weights[name] = torch.zeros(3)
    save_file(weights, folder / WEIGHTS)
    assert "has, beyond what its configuration describes," in refusal()


def test_a_name_twice_in_the_header(refusal, folder):
    header, body = header_of(folder)
    name = next(key for key in header if key != "__metadata__")
    text = json.dumps(header)
    twice = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})[1:-1]
    write_header(folder, ("{" + twice + ", " + text[1:]).encode(), body)
    assert f"('{name}' is there twice)" in refusal()


def test_missing_tensors_and_wrong_shapes(refusal, folder):
    weights = load_file(folder / WEIGHTS)
    name = sorted(weights)[0]
    kept = weights.pop(name)
    save_file(weights, folder / WEIGHTS)
    assert f"lacks the tensor '{name}'" in refusal()
    save_file({**weights, name: torch.zeros(1, 2, 3)}, folder / WEIGHTS)
    assert f"'{name}' has shape (1, 2, 3), its configuration says {tuple(kept.shape)}" in refusal()


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8, torch.complex64, torch.float8_e4m3fn])
def test_numbers_that_are_no_weights(refusal, folder, dtype):
    weights = load_file(folder / WEIGHTS)
    name = sorted(weights)[0]
    save_file({**weights, name: weights[name].to(dtype)}, folder / WEIGHTS)
    assert f"'{name}' is stored as" in refusal()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precision_are_read(resharp, photo, folder, dtype):
    save_file({name: value.to(dtype) for name, value in load_file(folder / WEIGHTS).items()}, folder / WEIGHTS)
    assert resharp("deblur", photo("a.png"), "--model", folder).code == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite(refusal, folder, value):
    weights = load_file(folder / WEIGHTS)
    name = sorted(weights)[-1]
    weights[name].view(-1)[-1] = value
    save_file(weights, folder / WEIGHTS)
    assert f"'{name}' holds numbers that are not finite" in refusal()


def test_weights_so_large_that_results_are_not_finite(resharp, photo, folder, tmp_path):
    weights = {name: value * 1e30 for name, value in load_file(folder / WEIGHTS).items()}
    save_file(weights, folder / WEIGHTS)
    ran = resharp("deblur", photo("a.png"), "--model", folder, "--force")
    assert ran.code == 1
    assert "not numbers" in ran.line or "not finite" in ran.line
    assert not (tmp_path / "a.deblurred.png").exists()


def test_training_refuses_what_would_take_terabytes(resharp, photo, tmp_path):
    photo("photos/a.png", width=80, height=80)
    config = tmp_path / "a.toml"
    config.write_text("steps = 1\nbatch_size = 1\n[model]\ndenoiser = { widths = [65000, 65000] }\nguidance = false\n")
    ran = resharp("train", config, "--data", tmp_path / "photos", "--out", tmp_path / "run")
    assert ran.code == 1
    assert "parameters; at most 4e+09 are allowed" in ran.line
    assert not (tmp_path / "run").exists()
