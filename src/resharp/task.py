"""What a model restores, and what that asks of a picture before and after the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from resharp.errors import ConfigError, ImageError

if TYPE_CHECKING:  # imported where it computes, since a model's configuration is read without it
    from torch import Tensor

Damage = Literal["motion blur", "noise", "JPEG artefacts", "low resolution", "holes"]
MAX_SCALE = 8
# Pure magenta, which photographs hardly contain. Its luma is 0.41, so that coarse gray structure sees no extreme.
HOLE_COLOR = (1.0, 0.0, 1.0)
# A mark that was made in 8 bits and read in 16, or the other way round, is still the mark.
_HOLE_WITHIN = 1.5 / 255


@dataclass(frozen=True)
class Task:
    """What a model was trained to restore; saved with it.

    restores: the damages, in the words that users read.
    scale: how many times larger than its input a result is; above 1 exactly for "low resolution".

    Raises:
        ConfigError: nothing to restore, or a scale that does not fit.
    """

    restores: tuple[Damage, ...] = ("motion blur",)
    scale: int = 1

    def __post_init__(self) -> None:
        if not self.restores:
            raise ConfigError("restores is empty; name what the model restores, such as 'motion blur'")
        if not 1 <= self.scale <= MAX_SCALE or (self.scale > 1) != ("low resolution" in self.restores):
            raise ConfigError(
                f"scale is {self.scale}, restores {', '.join(self.restores)}; allowed: 2 to {MAX_SCALE} for "
                "'low resolution', else 1"
            )

    @property
    def deblurs(self) -> bool:
        """Whether what `resharp.assessment` says of motion blur concerns this model."""
        return "motion blur" in self.restores

    def require_deblurring(self, what: str) -> None:
        """Refuse, with ConfigError, a model of another task for `what` is about motion blur alone."""
        if not self.deblurs:
            raise ConfigError(f"{what} is about motion blur alone, and this model restores {self.words}")

    def require_same_size(self, what: str) -> None:
        """Refuse, with ConfigError, a model whose results are larger than its inputs."""
        if self.scale > 1:
            raise ConfigError(f"{what} compares pictures of one size, and this model enlarges by {self.scale}")

    @property
    def words(self) -> str:
        """For people: "noise", "low resolution (x4) and JPEG artefacts"."""
        names = [f"{name} (x{self.scale})" if name == "low resolution" else name for name in self.restores]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

    def prepared(self, picture: Tensor) -> Tensor:
        """What the network is given for a picture (B, 3, H, W) in [0, 1]: the same, enlarged where that is the task.

        Raises:
            ImageError: holes are to be filled and the picture has none.
        """
        if "holes" in self.restores and not bool(holes(picture).any()):
            raise ImageError(
                "this model fills holes and the picture has none; paint what is missing in pure magenta "
                "(255, 0, 255), without soft edges, and save as PNG or TIFF"
            )
        return enlarged(picture, self.scale) if self.scale > 1 else picture

    def finished(self, given: Tensor, restored: Tensor) -> Tensor:
        """The result for what the network was `given`: around holes the picture keeps what it has."""
        if "holes" not in self.restores:
            return restored
        import torch

        given = given.to(restored)
        return torch.where(holes(given), restored, given)


def enlarged(pictures: Tensor, scale: int) -> Tensor:
    """(B, 3, H, W) in [0, 1] to (B, 3, scale H, scale W) by bicubic interpolation as Pillow's (a = -0.5), clamped."""
    import torch.nn.functional as F

    size = (pictures.shape[-2] * scale, pictures.shape[-1] * scale)
    return F.interpolate(pictures, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def holes(pictures: Tensor) -> Tensor:
    """Where pictures (B, 3, H, W) in [0, 1] have the colour that marks a hole: (B, 1, H, W) bool."""
    import torch

    color = torch.tensor(HOLE_COLOR, dtype=pictures.dtype, device=pictures.device)[:, None, None]
    return ((pictures - color).abs() <= _HOLE_WITHIN).all(dim=1, keepdim=True)
