"""A model of resharp as one file and one call, as loaders of image-to-image networks want it.

    python integrations/spandrel/resharp_one_pass.py default default.safetensors

The file holds the weights and, as bytes in a tensor, the configuration: nothing is guessed from shapes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from resharp import DeblurPipeline
from resharp.diffusion.presets import Preset
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.files import atomic_path
from resharp.models.config import ModelConfig
from resharp.models.icdpm import ICDPM
from resharp.serialization import Defaults
from resharp.settings import from_dict, to_dict
from resharp.task import Task

CONFIG_KEY = "resharp_config"


class OnePass(nn.Module):
    """The default of a pipeline, as long as that is one call: the predictor, or one sample in one step.

    Raises:
        ConfigError: its default takes several calls, or passes photos through.
    """

    def __init__(self, pipeline: DeblurPipeline) -> None:
        super().__init__()
        used = pipeline.defaults.preset()
        calls = used.ensemble if used.output == "predictor" else used.steps * used.samples
        if used.output == "input" or calls != 1:
            raise ConfigError(f"the model's default is not one pass but: {used}")
        self.used = used
        self.pipeline = pipeline
        self.model = pipeline.model
        self.register_buffer(CONFIG_KEY, _to_bytes(pipeline, used))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) float32 in [0, 1], any size, to the same, enlarged where that is the task.

        The noise of a diffusion is the same at every call.
        """
        return self.pipeline.restore(image.clamp(0, 1)).image.to(image)

    @classmethod
    def from_state_dict(cls, state: dict[str, Tensor]) -> OnePass:
        """From what `state_dict` gives, which the file holds.

        Raises:
            ConfigError: its configuration has unknown or impossible values.
        """
        about = json.loads(bytes(state[CONFIG_KEY].tolist()))
        model = ICDPM(from_dict(ModelConfig, about["model"], CONFIG_KEY))
        schedule = from_dict(NoiseSchedule, about["schedule"], CONFIG_KEY)
        used = from_dict(Preset, about["preset"], CONFIG_KEY)
        task = from_dict(Task, about["task"], CONFIG_KEY)
        made = cls(DeblurPipeline(model, schedule, Defaults(**to_dict(used)), task))
        made.load_state_dict(state)
        return made.eval().requires_grad_(False)


def _to_bytes(pipeline: DeblurPipeline, used: Preset) -> Tensor:
    about = {"model": pipeline.model.config, "schedule": pipeline.schedule, "preset": used, "task": pipeline.task}
    text = json.dumps({name: to_dict(value) for name, value in about.items()}, sort_keys=True)
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model's name, folder or Hub id")
    parser.add_argument("out", type=Path, help="a .safetensors file")
    options = parser.parse_args()
    state = OnePass(DeblurPipeline.from_pretrained(options.model)).state_dict()
    with atomic_path(options.out) as temporary:
        save_file({name: value.contiguous() for name, value in state.items()}, temporary)


if __name__ == "__main__":
    main()
