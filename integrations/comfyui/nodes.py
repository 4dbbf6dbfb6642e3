"""Two ComfyUI nodes: load a resharp model, and restore images with it.

ComfyUI's images are (B, H, W, C) float tensors in [0, 1], its masks (B, H, W).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from resharp import DeblurPipeline
from resharp.cli.options import DEVICES, pick_device
from resharp.diffusion.presets import MAX_SAMPLES, QUALITIES
from resharp.diffusion.schedule import MAX_STEPS

MODEL_TYPE = "RESHARP_MODEL"
AS_THE_MODEL = "as the model says"
SEED_MAX = 2**48 - 1


class ResharpLoadModel:
    """A model of resharp: a shipped name, a folder, or an id of the Hugging Face Hub."""

    CATEGORY = "image/restoration"
    FUNCTION = "load"
    RETURN_TYPES = (MODEL_TYPE,)
    RETURN_NAMES = ("model",)
    DESCRIPTION = "A deblurring model: default, one-step, a folder, or owner/name on the Hub."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """What ComfyUI shows and passes to `load`."""
        return {
            "required": {
                "model": ("STRING", {"default": "default", "tooltip": "default, one-step, a folder, or owner/name."}),
                "device": (list(DEVICES), {"default": "auto"}),
            }
        }

    def load(self, model: str, device: str) -> tuple[DeblurPipeline]:
        """Raises resharp's ModelError or ConfigError, which ComfyUI shows, for what is not there."""
        return (DeblurPipeline.from_pretrained(model.strip() or None).to(pick_device(device)),)


class ResharpDeblur:
    """Restore a batch of images."""

    CATEGORY = "image/restoration"
    FUNCTION = "deblur"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("image", "spread")
    DESCRIPTION = "Deblur. spread: where the samples differ; zero with fewer than two samples."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """What ComfyUI shows and passes to `deblur`."""
        whole = {"default": 0, "min": 0, "tooltip": "0: as the model or the quality says."}
        return {
            "required": {
                "model": (MODEL_TYPE,),
                "image": ("IMAGE",),
                "quality": ([AS_THE_MODEL, *QUALITIES], {"default": AS_THE_MODEL}),
                "seed": ("INT", {"default": 0, "min": 0, "max": SEED_MAX}),
            },
            "optional": {
                "steps": ("INT", {**whole, "max": MAX_STEPS}),
                "samples": ("INT", {**whole, "max": MAX_SAMPLES}),
                "fidelity": (
                    "FLOAT",
                    {
                        "default": -1.0,
                        "min": -1.0,
                        "max": 1.0,
                        "step": 0.05,
                        "tooltip": "0: one sample of the diffusion, 1: the predictor; below 0: as the model says.",
                    },
                ),
            },
        }

    def deblur(
        self,
        model: DeblurPipeline,
        image: Tensor,
        quality: str,
        seed: int,
        steps: int = 0,
        samples: int = 0,
        fidelity: float = -1.0,
    ) -> tuple[Tensor, Tensor]:
        """Restore image by image, so that memory does not grow with the batch.

        Args:
            image: (B, H, W, 3 or 4); a fourth channel is kept as it is.
            steps, samples: 0 leaves them to the quality; `fidelity` below 0 too.

        Returns:
            The images, as given; and (B, H, W), the samples' standard deviation averaged over the colours.
        """
        asked = {
            "quality": None if quality == AS_THE_MODEL else quality,
            "steps": steps or None,
            "samples": samples or None,
            "fidelity": None if fidelity < 0 else fidelity,
        }
        images, spreads = [], []
        on_step = _progress(len(image))
        for i, one in enumerate(image):
            blurry = one[None, :, :, :3].permute(0, 3, 1, 2).clamp(0, 1).float()
            # The images of a batch are often the frames of a video, which flicker less from the same noise.
            restored = model.restore(blurry, seed=seed, on_step=lambda done, n, i=i: on_step(i, done, n), **asked)
            sharp = restored.image.permute(0, 2, 3, 1).to(image)
            images.append(torch.cat([sharp, one[None, :, :, 3:]], dim=3))
            no_spread = torch.zeros(1, *one.shape[:2])
            spreads.append(no_spread if restored.spread is None else restored.spread[:, 0])
        return torch.cat(images), torch.cat(spreads)


def _progress(count: int) -> Any:
    """A function of (image, steps done, steps) that moves ComfyUI's bar and stops where its user wants to."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted
        from comfy.utils import ProgressBar
    except ImportError:  # called from elsewhere
        return lambda i, done, n: None
    bar = ProgressBar(1000 * count)

    def on_step(i: int, done: int, n: int) -> None:
        bar.update_absolute(1000 * i + 1000 * done // n)
        throw_exception_if_processing_interrupted()

    return on_step


NODE_CLASS_MAPPINGS = {"ResharpLoadModel": ResharpLoadModel, "ResharpDeblur": ResharpDeblur}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ResharpLoadModel": "Load deblurring model (resharp)",
    "ResharpDeblur": "Deblur (resharp)",
}
