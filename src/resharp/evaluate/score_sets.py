"""The pictures that a finished model and other methods are scored on, as lists and as folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resharp.errors import ConfigError, OutputError
from resharp.evaluate.centre import CentrePair
from resharp.evaluate.pairs import Pair, paired_folder
from resharp.evaluate.protocols import SCORED, out_of_domain_pairs
from resharp.evaluate.synthetic_pairs import MIN_SIDE_PX
from resharp.images.headers import upright_size
from resharp.images.photo import Photo
from resharp.images.tensors import tensor_to_pixels
from resharp.images.writing import write_photo

REAL = "real"


@dataclass(frozen=True)
class ScoreSet:
    """Pairs of one kind and, where they are made, of one seed.

    name: "real", or a pipeline in `protocols.SCORED`.
    seed: of the blur; None where there is nothing to draw.
    sizes: width and height in px of each pair, after the crop.
    """

    name: str
    seed: int | None
    pairs: tuple[Pair, ...]
    sizes: tuple[tuple[int, int], ...]

    @property
    def folder(self) -> str:
        """The sub-folder for pictures of this set: "real", "shake-0"."""
        return self.name if self.seed is None else f"{self.name}-{self.seed}"


def score_sets(
    pairs: str | None,
    sharp: str | None,
    pipelines: Sequence[str] = tuple(SCORED),
    seeds: Sequence[int] = (0,),
    crop_px: int | None = None,
) -> list[ScoreSet]:
    """Real pairs, then sharp photos through each pipeline with each seed.

    Args:
        pairs: a folder of real pairs, or None.
        sharp: a folder of sharp photos, or None.
        pipelines: names in `protocols.SCORED`.
        seeds: of the blur, not negative.
        crop_px: all pictures are cut to their middle, at most so many px a side, once they are blurry.

    Raises:
        ConfigError: neither folder, an unknown pipeline, or a crop below 32 px.
        DataError, ImageError: a folder or photo that cannot be used.
    """
    if pairs is None and sharp is None:
        raise ConfigError("nothing to score on; give --pairs, --sharp, or both")
    if crop_px is not None and crop_px < MIN_SIDE_PX:
        raise ConfigError(f"--crop is {crop_px}; allowed: {MIN_SIDE_PX} or more")
    for name in pipelines:
        if name not in SCORED:
            raise ConfigError(f"no blur pipeline {name!r}; known: {', '.join(SCORED)}")
    sets = [] if pairs is None else [_set(REAL, None, paired_folder(pairs), crop_px)]
    if sharp is not None:
        for name in dict.fromkeys(pipelines):
            sets += [_set(name, seed, out_of_domain_pairs(sharp, seed, SCORED[name]), crop_px) for seed in seeds]
    return sets


def export_inputs(
    sets: Iterable[ScoreSet], folder: Path, progress: Callable[[str, int, int, str], None] | None = None
) -> int:
    """Write every blurry picture as an 8-bit PNG, FOLDER/SET/NAME.png; returns how many.

    Args:
        folder: made if it does not exist; files of these names are replaced.
        progress: called with the set's folder, how many are done, how many there are, and a name.

    Raises:
        OutputError: it cannot be written.
        DataError, ImageError: a pair that cannot be loaded.
    """
    count = 0
    for each in sets:
        place = folder / each.folder
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{place}: cannot make this folder ({error.strerror}); choose another") from error
        for done, pair in enumerate(each.pairs, start=1):
            blurry, _ = pair.load()
            write_photo(Photo(tensor_to_pixels(blurry)), place / f"{pair.name}.png")
            count += 1
            if progress is not None:
                progress(each.folder, done, len(each.pairs), pair.name)
    return count


def _set(name: str, seed: int | None, pairs: Sequence[Pair], crop_px: int | None) -> ScoreSet:
    sizes = [upright_size(pair.sharp_path) for pair in pairs]  # type: ignore[attr-defined]
    if crop_px is not None:
        pairs = [CentrePair(pair, crop_px) for pair in pairs]
        sizes = [(min(width, crop_px), min(height, crop_px)) for width, height in sizes]
    return ScoreSet(name, seed, tuple(pairs), tuple(sizes))
