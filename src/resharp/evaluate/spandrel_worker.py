"""Run any restoration network that spandrel loads over a list of pictures: a script for another environment's Python.

`spandrel_worker.py CHECKPOINT JOBS DEVICE`, with JOBS a JSON list of {"input", "output", "photo", "tag"}, where
"photo" is what messages call it and "tag" is written into the result. It says what happens
in JSON, a line at a time: what the network is, {"done": N} after each picture, or {"error": ...} as the last line.
It imports nothing of resharp, because resharp need not be installed there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys

TAG = "resharp:peer"
# What torchvision expects to find once its compiled part is loaded.
_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class RefusalError(Exception):
    """A problem to be told in one line."""


def main(arguments):
    """Returns the exit code."""
    checkpoint, jobs, device = arguments
    try:
        with open(jobs, encoding="utf-8") as file:
            wanted = json.load(file)
        run(checkpoint, wanted, device)
    except RefusalError as error:
        say({"error": str(error)})
        return 1
    return 0


def run(checkpoint, jobs, device):
    """Load the network and restore every input into its output."""
    import_spandrel()
    import spandrel
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        device = "cpu"
    model = load(checkpoint, spandrel).to(device).float().eval()
    versions = f"spandrel {getattr(spandrel, '__version__', 'unknown')}, torch {torch.__version__}, {device}"
    say({"architecture": model.architecture.name, "versions": versions})
    for done, job in enumerate(jobs, start=1):
        with torch.no_grad():
            restore(model, device, job)
        say({"done": done})


def import_spandrel():
    """Import it, or say that it is missing."""
    if importlib.util.find_spec("spandrel") is None:
        raise RefusalError("has no spandrel")
    try:
        import spandrel  # noqa: F401
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        # torchvision's compiled part does not load beside every build of torch. No restoration network uses its
        # operators; once they are declared, without code behind them, the rest of it imports.
        import torch

        for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "spandrel")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in _OPERATORS:
            library.define(operator)
        globals()["_library"] = library  # its operators go when it does
    except ImportError as error:
        raise RefusalError(f"cannot import spandrel ({error})") from error


def add_extra_architectures(spandrel):
    """Let spandrel know what spandrel_extra_arches has; its name and version for people, empty if it is missing."""
    if importlib.util.find_spec("spandrel_extra_arches") is None:
        return ""
    import spandrel_extra_arches

    spandrel.MAIN_REGISTRY.add(*spandrel_extra_arches.EXTRA_REGISTRY)
    return f", spandrel_extra_arches {spandrel_extra_arches.__version__}"


def load(checkpoint, spandrel):
    """The network in a checkpoint file; RGB to RGB of the same size, or a refusal."""
    hint = "" if add_extra_architectures(spandrel) else "; spandrel_extra_arches knows more"
    try:
        model = spandrel.ModelLoader().load_from_file(checkpoint)
    except Exception as error:  # whatever a damaged file makes of a loader
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        if type(error).__name__ == "UnsupportedModelError":
            reason = f"no network that spandrel knows{hint}"
        raise RefusalError(f"{checkpoint}: cannot be loaded ({reason})") from error
    kind = f"{model.architecture.name}, {model.input_channels} to {model.output_channels} channels, scale {model.scale}"
    if not isinstance(model, spandrel.ImageModelDescriptor) or (
        (model.input_channels, model.output_channels, model.scale) != (3, 3, 1)
    ):
        raise RefusalError(f"{checkpoint}: is no network from RGB to RGB of the same size ({kind})")
    return model


def restore(model, device, job):
    """One picture from file to file; spandrel pads to the size that the network needs, and cuts off again."""
    import numpy as np
    import torch
    from PIL import Image, PngImagePlugin

    with Image.open(job["input"]) as image:
        pixels = np.asarray(image.convert("RGB"))
    blurry = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].to(device).float().div(255)
    try:
        restored = model(blurry)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            size = f"{pixels.shape[1]}x{pixels.shape[0]}"
            raise RefusalError(f"{job['photo']}: not enough memory for {size}; use a machine with more") from error
        raise
    if restored.shape != blurry.shape:
        raise RefusalError(f"{job['photo']}: the network gave a picture of another size")
    if not torch.isfinite(restored).all():
        raise RefusalError(f"{job['photo']}: the network gave values that are not finite numbers")
    values = restored[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    about = PngImagePlugin.PngInfo()
    about.add_text(TAG, job["tag"])
    os.makedirs(os.path.dirname(job["output"]), exist_ok=True)
    part = job["output"] + ".part"
    try:
        Image.fromarray(values).save(part, format="PNG", pnginfo=about)
        os.replace(part, job["output"])
    finally:
        if os.path.exists(part):
            os.remove(part)


def say(line):
    """One line of JSON to the program that waits."""
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    # Python puts the script's own folder first, whose modules must not stand in for other packages'.
    del sys.path[0]
    sys.exit(main(sys.argv[1:]))
