"""The samplers there are, whatever library takes their steps."""

from __future__ import annotations

from typing import Literal, get_args

SamplerName = Literal["dpm++", "ddim", "ddpm", "unipc"]
SAMPLERS: tuple[str, ...] = get_args(SamplerName)
