"""What an input of each kind is: files written into an empty folder, and a call that meets them.

The same family and number give the same input.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fuzz.mutations import hostile_value, spoil_bytes, spoil_json, spoil_safetensors, with_checksums
from fuzz.options import random_words
from resharp.cli.main import run
from resharp.data.shards import ShardSource
from resharp.data.source import Batching
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ResharpError
from resharp.models.icdpm import ICDPM
from resharp.serialization import Defaults, save_model
from resharp.study.pictures import find_pictures, method_folders
from resharp.study.plan import StudySettings
from resharp.study.results import Answer, Results
from resharp.study.session import Study
from sample_photos import photo_files
from studies import make_pairs
from tiny import TINY, awake


@dataclass(frozen=True)
class Case:
    """A call, which gives an exit code.

    untouched: files that must be the same bytes afterwards.
    """

    call: Callable[[], int]
    said: str
    as_json: bool = False
    untouched: tuple[Path, ...] = ()


@dataclass
class Stock:
    """Valid files, made once; `place` is a folder of its own."""

    place: Path
    made: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def photos(self) -> dict[str, bytes]:
        self.place.mkdir(parents=True, exist_ok=True)
        return photo_files(self.place)

    @cached_property
    def every_photo(self) -> tuple[bytes, ...]:
        return tuple(self.photos.values())

    @cached_property
    def model(self) -> Path:
        folder = self.place / "model"
        save_model(folder, awake(ICDPM(TINY)), NoiseSchedule(), Defaults(output="predictor", steps=1))
        return folder

    @cached_property
    def photo(self) -> Path:
        path = self.place / "photo.png"
        path.write_bytes(self.photos["plain.png"])
        return path

    @cached_property
    def pairs(self) -> Path:
        """A folder with blur and sharp, two photos each."""
        folder = self.place / "pairs"
        for side in ("blur", "sharp"):
            (folder / side).mkdir(parents=True)
            for name in ("a", "b"):
                (folder / side / f"{name}.png").write_bytes(self.photos["plain.png"])
        return folder

    @cached_property
    def shards(self) -> Path:
        folder = self.place / "shards"
        _must(["data", "pack", self.pairs, "--out", folder])
        return folder

    @cached_property
    def result(self) -> Path:
        path = self.place / "photo.deblurred.png"
        _must(["deblur", self.photo, "--model", self.model, "--force", "-o", path])
        return path

    @cached_property
    def evaluation(self) -> Path:
        folder = self.place / "evaluation"
        _must(["evaluate", self.pairs / "blur", self.pairs / "sharp", "--metrics", "psnr", "--out", folder])
        return folder

    @cached_property
    def study(self) -> Path:
        """The results of two raters."""
        path = self.place / "study.sqlite"
        pictures = find_pictures(*method_folders(make_pairs(self.place / "methods", photos=2)))
        results = Results(path, pictures, StudySettings())
        study = Study(pictures, StudySettings(), results)
        for _ in range(2):
            rater = results.rater(results.join("desktop"))
            while not (state := study.state(rater))["finished"]:
                left = results.open_question(rater)[1].left
                choice = "right" if left == "*blurred" else "left"
                study.answer(rater, state["place"], Answer(choice, 900, False, "desktop"))
        results.close()
        return path


def _must(words: list[object]) -> None:
    if run([str(word) for word in words]):
        raise AssertionError(f"{words} failed")


def _program(words: list[object], *untouched: Path) -> Case:
    texts = [str(word) for word in words]
    return Case(lambda: run(texts), " ".join(texts), "--json" in texts, untouched)


def _photo(draw: random.Random, folder: Path, stock: Stock) -> Case:
    """A spoilt photo, by its own suffix or another's."""
    name = draw.choice(list(stock.photos))
    suffix = Path(name).suffix if draw.random() < 0.9 else draw.choice((".jpg", ".png", ".tif", ".heic", ".avif", ""))
    photo = folder / f"in{suffix}"
    photo.write_bytes(spoil_bytes(stock.photos[name], draw, stock.every_photo))
    choice = draw.random()
    if choice < 0.08:
        return _program(["verify", photo, "--json"], photo)
    if choice < 0.16:
        return _program(["data", "check", folder, "--read"], photo)
    if choice < 0.2:
        return _program(["evaluate", folder, folder, "--metrics", "psnr", "--json"], photo)
    words: list[object] = ["deblur", photo, "--model", stock.model]
    words += draw.choice(([], ["--json"], ["--force"], ["--strip-gps"], ["--steps", 1]))
    out = draw.choice((None, None, "out.png", "out.jpg", "out.tif", "out.webp", "out.bmp", "out.heic", "out.avif"))
    words += [] if out is None else ["-o", folder / out]
    return _program(words, photo)


def _xmp(draw: random.Random, folder: Path, stock: Stock) -> Case:
    """A good picture with spoilt metadata: the part of the file before the pixels."""
    name = draw.choice(("full.jpg", "full.png", "full.webp", "deep.tif", "full.heic", "full.avif"))
    data = bytearray(stock.photos.get(name, stock.photos["full.jpg"]))
    for _ in range(draw.choice((1, 2, 8))):
        sign = draw.choice((b"xmpmeta", b"rdf:", b"exif", b"Exif", b"acsp", b"II*\0", b"MM\0*", b"8BIM"))
        found = data.find(sign)
        at = max(0, found + draw.randrange(-20, 200)) if found >= 0 else draw.randrange(len(data))
        data[at : at + 4] = spoil_bytes(bytes(data[at : at + 4]), draw)[:4].ljust(4, b"\0")
    photo = folder / f"in{Path(name).suffix}"
    photo.write_bytes(data)
    words: list[object] = ["deblur", photo, "--model", stock.model, "--force", "--json"]
    return _program(words + draw.choice(([], ["--strip-gps"])), photo)


def _receipt(draw: random.Random, folder: Path, stock: Stock) -> Case:
    data = stock.result.read_bytes()
    start = data.index(b"resharp:receipt\0") + len(b"resharp:receipt\0")
    length = int.from_bytes(data[data.index(b"tEXtresharp:receipt") - 4 :][:4], "big") - len(b"resharp:receipt\0")
    chunk = b"resharp:receipt\0" + spoil_json(data[start : start + length].decode(), draw).encode("latin-1", "replace")
    before, after = data[: start - len(b"resharp:receipt\0") - 8], data[start + length + 4 :]
    whole = before + len(chunk).to_bytes(4, "big") + b"tEXt" + chunk + bytes(4) + after
    result = folder / "photo.deblurred.png"
    result.write_bytes(with_checksums(whole))
    shutil.copy(stock.photo, folder / "photo.png")
    words: list[object] = ["verify", result, "--model", stock.model]
    return _program(words + draw.choice(([], ["--json"])), result, folder / "photo.png")


def _model(draw: random.Random, folder: Path, stock: Stock) -> Case:
    model = folder / "model"
    shutil.copytree(stock.model, model)
    name = draw.choice(("config.json", "config.json", "scheduler_config.json", "model.safetensors"))
    file = model / name
    if name == "model.safetensors":
        file.write_bytes(spoil_safetensors(file.read_bytes(), draw))
    else:
        file.write_text(spoil_json(file.read_text(), draw), encoding="utf-8", errors="replace")
    if draw.random() < 0.4:
        return _program(["info", model, *draw.choice(([], ["--json"]))])
    words: list[object] = ["deblur", stock.photo, "--model", model, "-o", folder / "out.png"]
    return _program(words + draw.choice(([], ["--json"], ["--part", "diffusion"])), stock.photo)


_TOML = """size = "msgd-fast"
stage = "joint"
steps = 1
batch_size = 4
crop_px = 64
lr = 2e-3
ema_decay = 0.98
precision = "auto"
warm_start_steps = 1
ramp_steps = 1
split = "train"
[model]
guidance = { features = 8, width = 8, blocks = 1 }
predictor = { widths = [16, 24, 32, 32] }
denoiser = { widths = [16, 24, 32, 32] }
prediction_type = "v"
[blur]
extent_median_px = 4.0
max_frames = 16
noise_max = 0.1
[schedule]
beta_first = 1e-6
train_steps = 2000
"""


def _config(draw: random.Random, folder: Path, stock: Stock) -> Case:
    """Training never starts: there are no photos. What is wrong in a configuration is found before."""
    lines = _TOML.splitlines()
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(lines))
        key, equals, _ = lines[at].partition("=")
        lines[at] = draw.choice((f"{key}{equals}{hostile_value(draw)}", f"{key}x{equals} 1", key, lines[at] * 2))
    text = "\n".join(lines)
    config = folder / "config.toml"
    config.write_bytes(spoil_bytes(text.encode(), draw) if draw.random() < 0.2 else text.encode("utf-8", "replace"))
    empty = folder / "empty"
    empty.mkdir()
    words: list[object] = ["train", config, "--data", empty, "--out", folder / "run"]
    if draw.random() < 0.3:
        words += ["--set", f"{draw.choice(('lr', 'model.guidance.scales', 'blur', 'a.b', ''))}={hostile_value(draw)}"]
    return _program(words, config)


def _shards(draw: random.Random, folder: Path, stock: Stock) -> Case:
    """A spoilt index or shard, opened and read as training does."""
    place = folder / "shards"
    shutil.copytree(stock.shards, place)
    if draw.random() < 0.6:
        index = place / "index.json"
        index.write_text(spoil_json(index.read_text(), draw), encoding="utf-8", errors="replace")
    else:
        shard = next(place.glob("*.tar"))
        whole = shard.read_bytes()
        spoilt = spoil_bytes(whole, draw, stock.every_photo)
        shard.write_bytes(spoilt if draw.random() < 0.2 else spoilt[: len(whole)].ljust(len(whole), b"\0"))

    def call() -> int:
        try:
            source = ShardSource(place)
            for step in range(2):
                source.draw(Batching(2, 1, 0), step, 0)
        except ResharpError as error:
            print(f"resharp: {error}", file=sys.stderr)
            return 1
        return 0

    return Case(call, f"ShardSource({place})")


def _store(draw: random.Random, folder: Path, stock: Stock) -> Case:
    """What an evaluation keeps, spoilt, and then gone on with or read by the next command."""
    out = folder / "evaluation"
    shutil.copytree(stock.evaluation, out)
    blur, sharp = stock.pairs / "blur", stock.pairs / "sharp"
    if draw.random() < 0.6:
        store = out / "evaluate.scores.jsonl"
        lines = [line for line in store.read_text().splitlines() if line]
        at = draw.randrange(len(lines))
        lines[at] = spoil_json(lines[at], draw)
        store.write_text("\n".join(lines), encoding="utf-8", errors="replace")
        return _program(["evaluate", blur, sharp, "--metrics", "psnr", "--out", out, "--overwrite", "--json"])
    table = out / "evaluate.csv"
    table.write_bytes(spoil_bytes(table.read_bytes(), draw))
    return _program(["analyze", "failures", blur, sharp, "--out", folder / "failures", "--csv", table])


_COLUMNS = (
    "rater",
    "place",
    "unit",
    "photo",
    "left_method",
    "right_method",
    "milliseconds",
    "zoomed",
    "agent",
    "undone",
)


def _study(draw: random.Random, folder: Path, stock: Stock) -> Case:
    """Answers of people, spoilt as bytes or as values."""
    path = folder / "study.sqlite"
    data = stock.study.read_bytes()
    path.write_bytes(spoil_bytes(data, draw) if draw.random() < 0.4 else data)
    if path.read_bytes() == data:
        value = draw.choice((None, -1, 0, 2**62, 1.5, 1e308, "", "x", "*blurred", b"\xff\x00", "[" * 3000, "x" * 9000))
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path)) as database:
            if draw.random() < 0.3:
                key = draw.choice(("settings", "methods", "photos", "format", "secret"))
                database.execute("UPDATE study SET value = ? WHERE key = ?", (value or hostile_value(draw), key))
            else:
                column = draw.choice(_COLUMNS)
                rows = draw.choice(("1", "place = 1", "rater = 2"))
                database.execute(f"UPDATE OR IGNORE answers SET {column} = ? WHERE {rows}", (value,))
            database.commit()
    words: list[object] = ["study", "score", path, "--resamples", 100]
    return _program(words + draw.choice(([], ["--json"], ["--right", 0])))


def _options(draw: random.Random, folder: Path, stock: Stock) -> Case:
    """Any words after `resharp`, of those commands that end soon."""
    places = [stock.photo, stock.model, stock.pairs, stock.result, stock.evaluation, folder, folder / "new.png"]
    return _program(random_words(draw, [str(place) for place in places]), stock.photo)


FAMILIES: dict[str, Callable[[random.Random, Path, Stock], Case]] = {
    "photo": _photo,
    "metadata": _xmp,
    "receipt": _receipt,
    "model": _model,
    "config": _config,
    "shards": _shards,
    "store": _store,
    "study": _study,
    "options": _options,
}


def make_case(family: str, number: int, folder: Path, stock: Stock) -> Case:
    """Write the input's files into `folder`, which is empty."""
    return FAMILIES[family](random.Random(f"{family} {number}"), folder, stock)
