"""Pictures on which restoration goes wrong, made in code, and models that do harm on purpose."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

SIDE = 160


def random(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def from_pillow(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None].float().contiguous() / 255


def eight_bit(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round() / 255


def dark_noise() -> Tensor:
    return eight_bit(0.03 + 0.02 * random((1, 3, SIDE, SIDE)))


def lights_with_streaks() -> Tensor:
    picture = Image.new("RGB", (SIDE * 2, SIDE), (8, 8, 14))
    draw = ImageDraw.Draw(picture)
    for x, y, colour in ((30, 40, (255, 255, 255)), (120, 90, (255, 240, 180)), (220, 60, (255, 120, 60))):
        draw.line([(x, y), (x + 40, y + 12)], fill=colour, width=3)
        draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=(255, 255, 255))
    return eight_bit(from_pillow(picture) + 0.008 * random((1, 3, SIDE, SIDE * 2), 1))


def scan_with_grain() -> Tensor:
    fibre = F.avg_pool2d(random((1, 1, SIDE + 8, SIDE + 8), 2), 9, 1)
    grain = random((1, 3, SIDE, SIDE), 3)
    return eight_bit(0.6 + 0.05 * fibre + 0.06 * grain)


def drawing() -> Tensor:
    picture = Image.new("RGB", (SIDE, SIDE), (250, 246, 230))
    draw = ImageDraw.Draw(picture)
    draw.polygon([(10, 150), (80, 20), (150, 150)], fill=(220, 60, 50), outline=(0, 0, 0))
    draw.ellipse([60, 70, 110, 120], fill=(40, 90, 200), outline=(0, 0, 0), width=2)
    return from_pillow(picture)


def text() -> Tensor:
    picture = Image.new("RGB", (SIDE * 2, SIDE), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default()
    for line in range(10):
        draw.text((6, 4 + 15 * line), "The quick brown fox jumps over it 0123456789", fill="black", font=font)
    return from_pillow(picture)


def screenshot() -> Tensor:
    picture = Image.new("RGB", (SIDE * 2, SIDE * 2), (240, 240, 243))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default()
    draw.rectangle([0, 0, SIDE * 2, 24], fill=(45, 60, 90))
    draw.text((8, 6), "File  Edit  View  Help", fill="white", font=font)
    for row in range(5):
        draw.rectangle([12, 40 + 52 * row, 300, 80 + 52 * row], fill="white", outline=(180, 180, 190))
        draw.text((20, 50 + 52 * row), f"Item number {row}: ready", fill=(30, 30, 30), font=font)
        draw.rectangle([240, 48 + 52 * row, 290, 72 + 52 * row], fill=(30, 120, 220))
    return from_pillow(picture)


def flat(*colour: int, height: int = SIDE, width: int = SIDE) -> Tensor:
    return (torch.tensor(colour).float() / 255)[None, :, None, None].expand(1, 3, height, width).clone()


def gradient() -> Tensor:
    ramp = torch.linspace(0.2, 0.6, SIDE)
    return eight_bit(
        torch.stack([ramp.expand(SIDE, SIDE), ramp.flip(0).expand(SIDE, SIDE), ramp.expand(SIDE, SIDE).T])[None]
    )


def checkerboard() -> Tensor:
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return ((x + y) % 2).float()[None, None].expand(1, 3, SIDE, SIDE).clone()


def gray_blurry() -> Tensor:
    """A gray picture that is truly blurry, so that restoring it is right."""
    return blurry_shapes().mean(dim=1, keepdim=True).expand(1, 3, -1, -1).clone()


def sharp_shapes(seed: int = 0, side: int = 256) -> Tensor:
    """Coloured rectangles over a calm background, with clear flat areas between them."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (side, side), (120, 130, 140))
    draw = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y, w, h = (int(v) for v in (*rng.integers(0, side // 2, 2), *rng.integers(6, 30, 2)))
        draw.rectangle([x, y, x + w, y + h], fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    return from_pillow(picture)


def blurry_shapes(length: int = 13) -> Tensor:
    """`sharp_shapes` after horizontal motion of `length` px in linear light."""
    sharp = sharp_shapes().pow(2.2)
    moved = F.avg_pool2d(F.pad(sharp, (length // 2, length // 2, 0, 0), mode="replicate"), (1, length), 1)
    return eight_bit(moved.pow(1 / 2.2) + 1e-3 * random(sharp.shape, 4))


CASES = {
    "dark noise": dark_noise,
    "lights": lights_with_streaks,
    "scan": scan_with_grain,
    "drawing": drawing,
    "text": text,
    "screenshot": screenshot,
    "black": lambda: flat(0, 0, 0),
    "white": lambda: flat(255, 255, 255),
    "teal": lambda: flat(20, 140, 133),
    "gradient": gradient,
    "checkerboard": checkerboard,
    "one pixel": lambda: flat(200, 100, 50, height=1, width=1),
    "three by five": lambda: eight_bit(0.5 + 0.2 * random((1, 3, 3, 5), 5)),
    "gray": gray_blurry,
    "thin": lambda: eight_bit(0.5 + 0.1 * random((1, 3, 2, 700), 6)),
    "tall": lambda: gradient()[..., :9].repeat(1, 1, 5, 1),
    "blurry": blurry_shapes,
}


def coloured_noise(blurry: Tensor) -> Tensor:
    return (blurry + 0.1 * random(tuple(blurry.shape), 7)).clamp(0, 1)


def mosaic(blurry: Tensor) -> Tensor:
    """Coloured squares of 8 px: what small diffusion models draw into skies."""
    height, width = blurry.shape[-2:]
    cells = random((1, 3, -(-height // 8), -(-width // 8)), 8)
    return (blurry + 0.12 * cells.repeat_interleave(8, 2).repeat_interleave(8, 3)[..., :height, :width]).clamp(0, 1)


def colour_cast(blurry: Tensor) -> Tensor:
    return (blurry + torch.tensor([0.05, -0.03, 0.08])[None, :, None, None]).clamp(0, 1)


def not_a_number(blurry: Tensor) -> Tensor:
    result = coloured_noise(blurry)
    result[..., ::7, ::5] = torch.nan
    return result


HARMFUL = {"noise": coloured_noise, "mosaic": mosaic, "cast": colour_cast, "nan": not_a_number}
