"""Teaches spandrel (0.4) to load files of `resharp_one_pass`: import this module, then use its loader as ever."""

from __future__ import annotations

from resharp_one_pass import CONFIG_KEY, OnePass
from spandrel import (
    MAIN_REGISTRY,
    Architecture,
    ArchSupport,
    ImageModelDescriptor,
    ModelTiling,
    SizeRequirements,
    StateDict,
)


class ResharpArch(Architecture[OnePass]):
    """One-pass models of resharp."""

    def __init__(self) -> None:
        super().__init__(id="resharp", detect=lambda state: CONFIG_KEY in state)

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[OnePass]:
        """Size, schedule and part follow from the configuration in the file."""
        model = OnePass.from_state_dict(state_dict)
        scale = model.pipeline.task.scale
        # Each tile of a diffusion would get noise of its own.
        tiling = ModelTiling.SUPPORTED if model.used.output == "predictor" else ModelTiling.DISCOURAGED
        return ImageModelDescriptor(
            model,
            state_dict,
            architecture=self,
            purpose="Restoration" if scale == 1 else "SR",
            tags=[model.used.output],
            supports_half=False,
            supports_bfloat16=False,
            scale=scale,
            input_channels=3,
            output_channels=3,
            size_requirements=SizeRequirements(),
            tiling=tiling,
        )


MAIN_REGISTRY.add(ArchSupport.from_architecture(ResharpArch()), ignore_duplicates=True)
