"""`resharp analyze features`: what the guidance makes of a photo, as a figure."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_file, check_folder

_READING = (
    "r: Pearson's correlation, over the photo without 4 px at the border, of |h - median of h| with the gradient"
    " magnitude. The line of phi_k(y) is what a channel would have that copies the picture."
)


def features(
    photo: Annotated[str, typer.Argument(metavar="PHOTO", help="A blurry photo.")],
    out: Annotated[str, typer.Option(metavar="FILE", help="The figure, .png or .pdf.")],
    model: Annotated[str, typer.Option(metavar="MODEL", help="A model's name, folder or Hub id.")] = "default",
    channels: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many channels; default: 12, or all of fewer.")
    ] = None,
    channel: Annotated[
        list[int] | None, typer.Option(metavar="I", help="This channel, from 0; may be given several times.")
    ] = None,
    noise: Annotated[bool, typer.Option("--noise", help="Add the noise that phi has in training.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of that noise.")] = 0,
    crop: Annotated[int, typer.Option(min=0, metavar="PX", help="The middle of a larger photo; 0: all of it.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a figure that exists.")] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw channels of h_k at each scale beside phi_k(y), R(h_k) and the edges of both, and print correlations.

    Without --channel, the channels with the largest standard deviation over the photo are shown.
    """
    from resharp.analysis.figures import check_matplotlib, check_suffix

    path = Path(out)
    check_suffix(path)
    check_folder(path.parent)
    check_file(path, overwrite=overwrite)
    check_matplotlib()
    where = pick_device(device)

    from resharp.analysis.feature_figure import draw_features, features_table, scale_values
    from resharp.analysis.feature_maps import feature_maps
    from resharp.cli.places import make_folder
    from resharp.evaluate.centre import centre_crop
    from resharp.images.reading import read_photo
    from resharp.images.tensors import photo_to_tensor
    from resharp.pipeline import DeblurPipeline

    blurry = photo_to_tensor(read_photo(photo))
    if crop:
        blurry = centre_crop(blurry, crop, crop)
    network = DeblurPipeline.from_pretrained(model).to(where).model
    scales = feature_maps(network, blurry.to(where), channels, channel, seed if noise else None, name=photo)
    make_folder(path.parent)
    draw_features(path, scales)
    note(f"written: {path}")
    if as_json:
        command = shlex.join(["resharp", *sys.argv[1:]])
        about: dict[str, Any] = {"resharp": __version__, "command": command, "photo": photo, "model": model}
        about |= {"crop_px": crop or None, "noise_seed": seed if noise else None, "figure": str(path)}
        about["chosen"] = "named" if channel else _chosen(network)
        say(json.dumps({**about, "scales": scale_values(scales)}, indent=2, allow_nan=False))
    else:
        say(f"{features_table(scales)}\n{_READING}")


def _chosen(network: Any) -> str:
    rule = "largest standard deviation over the photo"
    return f"{rule}, mean over the scales" if network.config.guidance.shared else f"{rule}, at each scale"
