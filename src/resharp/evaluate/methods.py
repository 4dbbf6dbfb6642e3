"""Several methods scored side by side on the same pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from resharp.errors import DataError
from resharp.evaluate.paired import HIGHER_IS_BETTER
from resharp.evaluate.pairs import photos_by_stem
from resharp.evaluate.score import Metric, checked, measured, metrics_with
from resharp.evaluate.score_sets import ScoreSet
from resharp.images.headers import upright_size
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor
from resharp.metrics.full_reference import round_to_uint8

INPUT = "input"


@dataclass(frozen=True)
class Method:
    """A way to restore pictures.

    name: as in the table.
    restore: (set, name of the picture, blurry (1, 3, H, W) in 8-bit steps of [0, 1], seed) -> the same shape.
    draws: the seed matters; else one run serves all seeds of a set without seeds of its own.
    """

    name: str
    restore: Callable[[ScoreSet, str, Tensor, int], Tensor]
    draws: bool = False


class MethodScore(NamedTuple):
    """One picture of one method; a gain over the blurry input is positive where the method is better.

    lpips, lpips_gain: None where LPIPS was left out.
    """

    method: str
    set: str
    seed: int
    image: str
    psnr: float
    ssim: float
    lpips: float | None
    psnr_gain: float
    ssim_gain: float
    lpips_gain: float | None


def score_methods(
    methods: Sequence[Method],
    sets: Iterable[ScoreSet],
    seeds: Sequence[int],
    lpips: Metric | None = None,
    progress: Callable[[str, int, int, str], None] | None = None,
) -> list[MethodScore]:
    """The blurry input and every method on every picture.

    All see the same 8-bit picture, and all are measured on 8-bit values. Pairs are made or read once for all
    methods.

    Args:
        seeds: for methods that draw, on sets without a seed of their own; the first serves all others.
        lpips: for example `load_lpips(path)`.
        progress: called after each pair with the set's folder, how many are done, how many there are, and a name.

    Raises:
        DataError, ImageError: a pair that cannot be loaded or is too small for a metric, or a peer's picture that
            cannot be read.
        ValueError: a method whose result has another shape, or values that are not finite.
    """
    metrics = metrics_with(lpips)
    rows: list[MethodScore] = []
    for each in sets:
        own = list(seeds) if each.seed is None else [each.seed]
        for done, pair in enumerate(each.pairs, start=1):
            blurry, sharp = pair.load()
            blurry = round_to_uint8(blurry)
            before = measured(metrics, blurry, sharp, pair.name)
            rows.append(_row(INPUT, each, own[0], pair.name, before, before))
            for method in methods:
                for seed in own if method.draws else own[:1]:

                    def restore(image: Tensor, seed: int, method=method, each=each, name=pair.name) -> Tensor:
                        return method.restore(each, name, image, seed)

                    after = measured(metrics, checked(restore, blurry, seed, pair.name), sharp, pair.name)
                    rows.append(_row(method.name, each, seed, pair.name, before, after))
            if progress is not None:
                progress(each.folder, done, len(each.pairs), pair.name)
    return rows


def pictures_of_a_peer(name: str, folder: Path, sets: Sequence[ScoreSet]) -> Method:
    """A method whose pictures are files already: FOLDER/SET/NAME, as `export_inputs` named the blurry ones.

    The suffix may be any that can be read. Other files are left alone. Every picture is looked for, and its size
    compared by its header, before any is used.

    Raises:
        DataError: a sub-folder or picture that is missing, or a picture of another size.
        ImageError: a file whose header cannot be read.
    """
    found: dict[tuple[str, str], Path] = {}
    for each in sets:
        photos = photos_by_stem(folder / each.folder)
        for pair, (width, height) in zip(each.pairs, each.sizes, strict=True):
            if pair.name not in photos:
                wanted = folder / each.folder / pair.name
                raise DataError(f"{wanted}.*: no such picture of {name}; run it on what --export-inputs writes")
            path = found[each.folder, pair.name] = photos[pair.name]
            actual = upright_size(path)
            if actual != (width, height):
                is_now = f"{actual[0]}x{actual[1]}"
                raise DataError(f"{path}: is {is_now}, the input is {width}x{height}; export and run {name} again")
    return Method(name, lambda each, image, blurry, seed: photo_to_tensor(read_photo(found[each.folder, image])))


def _row(
    method: str, each: ScoreSet, seed: int, image: str, before: dict[str, float], after: dict[str, float]
) -> MethodScore:
    sign = {metric: 1 if HIGHER_IS_BETTER[metric] else -1 for metric in after}
    # 0.0 and not -0.0 where nothing changed.
    gained = {metric: sign[metric] * (after[metric] - before[metric]) + 0.0 for metric in after}
    values = [after["psnr"], after["ssim"], after.get("lpips")]
    return MethodScore(method, each.name, seed, image, *values, gained["psnr"], gained["ssim"], gained.get("lpips"))
