"""Make a result again from its receipt, and say whether it is the one."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from resharp import __version__
from resharp.cli.backends import load_pipeline
from resharp.cli.options import available_devices
from resharp.diffusion.presets import Preset
from resharp.errors import ConfigError, ImageError, ModelError
from resharp.hub import SHIPPED_NAMES
from resharp.images.formats import FORMAT_BY_SUFFIX, LOSSLESS, RESULT_MARK
from resharp.images.reading import read_photo
from resharp.images.receipts import read_receipt
from resharp.images.writing import samples_for
from resharp.picture import restore_file
from resharp.pipeline import DeblurPipeline
from resharp.provenance import origin_of, versions_of
from resharp.receipt import Origin, Receipt, file_sha256, pixels_digest
from resharp.runtime.pipeline import GraphPipeline
from resharp.serialization import Defaults
from resharp.settings import from_dict
from resharp.video.clip import is_video

# Another processor, device or version of torch rounds differently, by about one level of 8 bits. A lossy encoder
# makes more of that: one level in every fifth sample moved those decoded from JPEG and WebP by up to 14 levels
# and left 40.9 dB in a picture of noise, 9 and 47.5 dB in a photograph.
ROUNDING = 2.001 / 255  # a little more than two levels, since the difference of two floats is itself rounded
LOSSY_ROUNDING, LOSSY_PSNR_DB = 16.001 / 255, 40.0
_ROWS_AT_ONCE = 256
_SUFFIX = {format: suffix for suffix, format in reversed(FORMAT_BY_SUFFIX.items())}

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Verdict:
    """What came of it; the fields are those of `--json`.

    verdict: "identical", "equal up to rounding", "changed pixels", "changed receipt" or "not the result".
    reason: for people, the numbers included.
    largest_difference: between the result and the same made again, on [0, 1]; None where their shapes differ.
    psnr_db: of the same two; None where they are equal or their shapes differ.
    """

    result: str
    photo: str
    verified: bool
    verdict: str
    reason: str
    largest_difference: float | None
    psnr_db: float | None
    made_with: dict[str, str]
    checked_with: dict[str, str]
    receipt: Receipt


def verify_result(result: Path, photo: Path | None, model: str | None, device: str, on_step: OnStep | None) -> Verdict:
    """Restore the photo again as the receipt in `result` says, and compare.

    Args:
        photo: None looks for it beside the result, by the name in the receipt.
        model: None takes the shipped model.
        device: "auto" takes the kind the result was made on, where this machine has it.

    Raises:
        ImageError: no receipt or a damaged one; the photo is not there, not readable, or another one.
        ModelError: the model is not there, or not the one of the receipt.
        ConfigError: settings in the receipt that this version does not know.
    """
    if is_video(str(result)):
        raise ImageError(f"{result}: is a video, and those are not made again; --skip-done goes by their receipts")
    read = read_photo(result)
    text = read_receipt(result)
    if text is None:
        raise ImageError(_without_receipt(result, photo))
    receipt = Receipt.from_text(text, str(result))
    preset = from_dict(Preset, {**receipt.settings, "output": receipt.part}, f"{result}: settings in its receipt")
    photo = _find_photo(result, photo, receipt)
    pipeline, origin = _find_model(result, model, receipt, preset, device)

    stored = samples_for(read, read.meta.format)
    with tempfile.TemporaryDirectory(prefix="resharp-") as folder:
        target = Path(folder) / f"again{_SUFFIX[read.meta.format]}"
        # The settings are the pipeline's own defaults now: all of them count, those that are None too.
        settings: dict[str, Any] = {"seed": receipt.seed or 0, "batch": receipt.batch}
        settings |= {} if receipt.tile is None else {"tile": receipt.tile}
        guard = receipt.guard
        again = restore_file(pipeline, photo, target, settings, origin=origin, guard=guard, on_step=on_step).receipt
        remade = samples_for(read_photo(target), read.meta.format)
    here = _made_by(__version__, pipeline.device.type, versions_of(pipeline))
    largest, psnr_db = difference(stored, remade) if stored.shape == remade.shape else (None, None)
    verdict, reason = _judge(receipt, again, stored, remade, read.meta.format in LOSSLESS, largest, psnr_db)
    verified = verdict in ("identical", "equal up to rounding")
    made = _made_by(receipt.resharp, receipt.device, receipt.__dict__)
    if made != here:
        shown = (", ".join(f"{name} {value}".strip() for name, value in each.items()) for each in (made, here))
        reason += "; made with {}, checked with {}".format(*shown).replace("device ", "")
    psnr_db = None if psnr_db is None or math.isinf(psnr_db) else psnr_db
    return Verdict(str(result), str(photo), verified, verdict, reason, largest, psnr_db, made, here, receipt)


def difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The largest difference, on [0, 1], and the PSNR in dB of two arrays (H, W, C), each uint8 or uint16."""
    largest, squares = 0.0, 0.0
    for top in range(0, len(first), _ROWS_AT_ONCE):
        rows = (each[top : top + _ROWS_AT_ONCE] / np.iinfo(each.dtype).max for each in (first, second))
        apart = np.abs(np.subtract(*rows))
        largest, squares = max(largest, float(apart.max())), squares + float(np.square(apart).sum())
    return largest, 10 * math.log10(first.size / squares) if squares else math.inf


def _judge(
    receipt: Receipt,
    again: Receipt | None,
    stored: np.ndarray,
    remade: np.ndarray,
    lossless: bool,
    largest: float | None,
    psnr_db: float | None,
) -> tuple[str, str]:
    """The verdict, and the reason in words."""
    if again is None:
        return "not the result", "with these settings the photo is passed through as it is"
    if again.inputs() != receipt.inputs():
        written, used = receipt.inputs(), again.inputs()
        name = next(name for name in written if written[name] != used[name])
        return "changed receipt", f"its receipt says {name} {written[name]}, and made again it is {used[name]}"
    if largest is None or psnr_db is None:
        sizes = (f"{each.shape[1]}x{each.shape[0]} px, {each.shape[2]} channels" for each in (stored, remade))
        return "changed pixels", "it has {}, and made again {}".format(*sizes)
    apart = f"largest difference {largest * 255:.3g} of 255, PSNR {psnr_db:.1f} dB"
    same = again.pixels_sha256 == receipt.pixels_sha256
    if same and largest == 0:
        return "identical", "made again, its pixels are the same bytes"
    if lossless and pixels_digest(stored) != receipt.pixels_sha256:
        return "changed pixels", f"its pixels are not those that its receipt was written for; made again: {apart}"
    near = largest <= LOSSY_ROUNDING and psnr_db >= LOSSY_PSNR_DB
    if largest <= ROUNDING or (near and not lossless):
        return "equal up to rounding", f"made again: {apart}"
    what = "changed pixels" if same else "not the result"
    return what, f"made again as its receipt says, it comes out otherwise: {apart}"


def _find_photo(result: Path, given: Path | None, receipt: Receipt) -> Path:
    photo = result.parent / receipt.photo if given is None else given
    if not photo.is_file():
        remedy = (
            "check the name" if given else "it is the photo the receipt names: put it there, or give it with --photo"
        )
        raise ImageError(f"{photo}: no such file; {remedy}")
    digest = file_sha256(photo)
    if digest != receipt.photo_sha256:
        raise ImageError(
            f"{photo}: not the photo {result} was made from, or changed since: its SHA-256 is {digest}, the receipt "
            f"says {receipt.photo_sha256}; give the right one with --photo"
        )
    return photo


def _made_by(version: str, device: str, versions: Mapping[str, Any]) -> dict[str, str]:
    """Versions of resharp and of what ran the networks, and the device."""
    backend = versions["backend"]
    return {"resharp": version, backend: versions["torch" if backend == "torch" else "runtime"] or "", "device": device}


def _find_model(
    result: Path, given: str | None, receipt: Receipt, preset: Preset, device: str
) -> tuple[DeblurPipeline | GraphPipeline, Origin]:
    """The model with the receipt's settings as its defaults. Its name is believed only if it is a shipped one's."""
    if given is None and receipt.model in SHIPPED_NAMES:
        given = receipt.model
    origin = origin_of(given)
    if origin.weights_sha256 != receipt.weights_sha256:
        raise ModelError(
            f"{given or origin.model}: not the model {result} was made with ({receipt.model}): its weights have "
            f"SHA-256 {origin.weights_sha256}, the receipt says {receipt.weights_sha256}; give the right one with "
            "--model"
        )
    known = device == "auto" and receipt.backend == "torch" and receipt.device in available_devices()
    pipeline = load_pipeline(given, receipt.backend, receipt.device if known else device)
    if pipeline.precision != receipt.precision:
        raise ModelError(
            f"{given or origin.model}: has {pipeline.precision} networks, and {result} was made with "
            f"{receipt.precision}; give the right export with --model"
        )
    defaults = Defaults(**{field.name: getattr(preset, field.name) for field in fields(Preset)})
    try:
        made = copy.copy(pipeline)
        made.defaults, made.choices = defaults, replace(pipeline.choices, defaults=defaults)
        return made, origin
    except ConfigError as error:
        raise ConfigError(f"{result}: the settings in its receipt do not fit its model ({error})") from error


def _without_receipt(result: Path, photo: Path | None) -> str:
    """Why there is nothing to verify; a photo passed through is recognised if it is given or lies beside it."""
    beside = result.with_name(result.name.replace(RESULT_MARK + ".", ".", 1))
    for candidate in (photo, beside):
        other = candidate is not None and candidate.is_file() and not candidate.samefile(result)
        if candidate is not None and other and file_sha256(candidate) == file_sha256(result):
            return (
                f"{result}: has no receipt and needs none: it is {candidate}, byte for byte, which the model passed "
                "through unchanged"
            )
    if FORMAT_BY_SUFFIX.get(result.suffix.lower()) == "BMP":
        return f"{result}: BMP has no place for a receipt; restore the photo as PNG or TIFF to have one"
    return (
        f"{result}: has no receipt: made with --no-receipt, saved again by another program, or not by resharp; "
        "a photo that was passed through has none either, to see that give it with --photo"
    )
