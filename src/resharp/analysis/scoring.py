"""Score the models of an ablation on sets of pairs; what was scored once is read back."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from resharp.analysis.variants import Run
from resharp.data.blur_config import BlurConfig
from resharp.data.folders import FolderSource
from resharp.data.source import Source
from resharp.diffusion.sampler_names import SamplerName
from resharp.errors import ConfigError, DataError
from resharp.evaluate.centre import CentrePair
from resharp.evaluate.pairs import Pair
from resharp.evaluate.protocols import OUT_OF_DOMAIN, out_of_domain_pairs, paired_folder
from resharp.evaluate.score import Metric, Row, score_restorer
from resharp.evaluate.synthetic_pairs import MIN_SIDE_PX, SIDE_PX, in_domain_pairs
from resharp.evaluate.tables import read_csv, write_csv
from resharp.files import write_text
from resharp.pipeline import DeblurPipeline
from resharp.serialization import WEIGHTS

SCORES = "scores"
# The blur of all sets follows from this one number and the photos' names: every model sees the same pairs.
PROTOCOL_SEED = 0


@dataclass(frozen=True)
class PairSet:
    """Pairs that all models are scored on.

    name: good for a file's name.
    title: short, for people.
    about: what they are and where.
    identity: changes whenever the pairs do.
    """

    name: str
    title: str
    about: str
    pairs: tuple[Pair, ...]
    identity: str


@dataclass(frozen=True)
class Sampling:
    """How the diffusion is run; names as in `DeblurPipeline`."""

    steps: int = 8
    samples: int = 1
    sampler: SamplerName = "dpm++"


def pair_sets(pairs: str, sharp: str, blur: BlurConfig, crop_px: int | None = None) -> list[PairSet]:
    """The sets: in domain, real, and out of domain once for each known pipeline.

    Args:
        pairs: a folder of real pairs.
        sharp: a folder of sharp photos.
        blur: that of training.
        crop_px: real pairs and those out of domain are cut to their middle, at most so many px a side.

    Raises:
        ConfigError, DataError, ImageError: a folder, photo or number that cannot be used.
    """
    if crop_px is not None and crop_px < MIN_SIDE_PX:
        raise ConfigError(f"crop_px is {crop_px}; allowed: {MIN_SIDE_PX} or more")
    inside = in_domain_pairs(sharp, blur, seed=PROTOCOL_SEED)
    real = paired_folder(pairs)
    photos = [pair.sharp_path for pair in inside]
    files = [path for pair in real for path in (pair.blurry_path, pair.sharp_path)]
    cut = "" if crop_px is None else f", the middle {crop_px} px"
    about = f"{sharp}, blurred as in training, the middle {SIDE_PX} px"
    sets = [
        PairSet("in-domain", "in domain", about, tuple(inside), _identity("in-domain", photos, str(blur))),
        PairSet("real", "real", f"{pairs}{cut}", _cut(real, crop_px), _identity("real", files, str(crop_px))),
    ]
    for name, pipeline in OUT_OF_DOMAIN.items():
        outside = _cut(out_of_domain_pairs(sharp, PROTOCOL_SEED, pipeline), crop_px)
        about = f"{sharp}, blurred otherwise than in training{cut}"
        identity = _identity(name, photos, f"{pipeline} {crop_px}")
        sets.append(PairSet(name, f"out of domain, {name}", about, outside, identity))
    return sets


def check_unseen(source: Source, sets: Iterable[PairSet]) -> None:
    """Refuse to score on a photo that is trained on, byte for byte. Packed shards are not looked into.

    Raises:
        DataError: there is one.
    """
    if not isinstance(source, FolderSource):
        return
    by_size: dict[int, list[Path]] = {}
    for entry in source.entries:
        by_size.setdefault(entry.sharp.stat().st_size, []).append(entry.sharp)
    for pair in (pair for each in sets for pair in each.pairs):
        photo = (pair.pair if isinstance(pair, CentrePair) else pair).sharp_path  # type: ignore[attr-defined]
        for seen in by_size.get(photo.stat().st_size, ()):
            if filecmp.cmp(seen, photo, shallow=False):
                raise DataError(f"{photo}: is trained on too, as {seen}; remove it from --data, or score on others")


class Scorer:
    """Scores runs, part by part and set by set.

    Each (run, part, set) is a CSV file in the folder `scores` of its run, with a JSON file beside it that says
    what the scores depend on. As long as that is the same, they are read back.

    Args:
        sets: from `pair_sets`.
        sampling: of the diffusion. Its noise follows from the run's own seed, so that the spread over seeds
            is that of training and sampling again, and variants of one seed meet the same noise.
        lpips: None leaves LPIPS out.
        lpips_weights: the file it was read from.
        device: where the models run.
    """

    def __init__(
        self,
        sets: Sequence[PairSet],
        sampling: Sampling,
        lpips: Metric | None,
        lpips_weights: str | None,
        device: torch.device,
    ) -> None:
        self.sets, self.sampling, self.lpips, self.device = sets, sampling, lpips, device
        self._lpips_digest = None if lpips_weights is None else file_digest(Path(lpips_weights))

    def __call__(self, run: Run, part: str, pairs: PairSet, on_image: Callable[[int, str], None]) -> list[Row]:
        """The rows of one part of one run on one set; their seed is that of the run.

        Raises:
            ModelError, ImageError, DataError, OutputError: as in reading, scoring and writing.
        """
        place = run.folder / SCORES
        table, about = place / f"{part}_{pairs.name}.csv", place / f"{part}_{pairs.name}.json"
        depends = self._depends(run, part, pairs)
        if _is_current(table, about, depends):
            return read_csv(table)
        pipeline = DeblurPipeline.from_pretrained(run.folder / "model").to(self.device)
        drawing = asdict(self.sampling) if part == "diffusion" else {}

        def restore(blurry: Tensor, seed: int) -> Tensor:
            return pipeline.restore(blurry, output=part, seed=seed, **drawing).image

        rows = score_restorer(restore, pairs.pairs, [run.seed], self.lpips, on_image)
        place.mkdir(exist_ok=True)
        # In this order, scores are never beside a note that belongs to others.
        about.unlink(missing_ok=True)
        write_csv(table, rows)
        write_text(about, json.dumps(depends, indent=2) + "\n")
        return rows

    def _depends(self, run: Run, part: str, pairs: PairSet) -> dict[str, object]:
        """What the scores depend on."""
        depends: dict[str, object] = {
            "weights": file_digest(run.folder / "model" / WEIGHTS),
            "set": pairs.identity,
            "lpips": self._lpips_digest,
        }
        if part == "diffusion":
            depends |= {**asdict(self.sampling), "seed": run.seed}
        return depends


def file_digest(path: Path) -> str:
    """SHA-256 in hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def _is_current(table: Path, about: Path, depends: dict[str, object]) -> bool:
    try:
        return table.is_file() and json.loads(about.read_text(encoding="utf-8")) == depends
    except (OSError, ValueError):
        return False


def _cut(pairs: Sequence[Pair], crop_px: int | None) -> tuple[Pair, ...]:
    return tuple(pairs) if crop_px is None else tuple(CentrePair(pair, crop_px) for pair in pairs)


def _identity(name: str, files: Iterable[Path], settings: str) -> str:
    """Of names and sizes of the files, and what is made of them."""
    digest = hashlib.sha256(f"{name} {settings} {PROTOCOL_SEED}".encode())
    for path in files:
        digest.update(os.fsencode(f"{path.name} {path.stat().st_size}\n"))
    return digest.hexdigest()
