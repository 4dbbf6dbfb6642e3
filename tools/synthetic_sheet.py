"""Draws a sheet of sharp pictures beside what the blur synthesiser makes of them, and beside real pairs.

    python tools/synthetic_sheet.py SHARP_FOLDER OUT.jpg [--pairs FOLDER] [--seed 0]

SHARP_FOLDER holds photos; the folder of --pairs holds `NAME_blur.jpg` and `NAME_sharp.jpg`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from resharp.data.synthetic import BlurConfig, BlurSynthesiser

SUFFIXES = {".jpg", ".jpeg", ".png"}
GAP_PX = 4
LABEL_PX = 16


def read_photo(path: Path) -> torch.Tensor:
    """A photo as (3, H, W) in [0, 1]."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)


def random_crop(photo: torch.Tensor, size_px: int, generator: torch.Generator) -> torch.Tensor:
    """A square part of a photo, which is enlarged first where it is too small."""
    short = min(photo.shape[1:])
    if short < size_px:
        scale = size_px / short
        size = [max(size_px, round(side * scale)) for side in photo.shape[1:]]
        photo = torch.nn.functional.interpolate(photo[None], size=size, mode="bilinear", antialias=True)[0]
    top, left = (int(torch.randint(side - size_px + 1, (), generator=generator)) for side in photo.shape[1:])
    return photo[:, top : top + size_px, left : left + size_px]


def synthetic_columns(folder: Path, config: BlurConfig, args: argparse.Namespace) -> list[tuple]:
    """(label, sharp, blurry) of synthetic pairs, photos taken in turn."""
    generator = torch.Generator().manual_seed(args.seed)
    paths = sorted(path for path in folder.glob(args.pattern) if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f"{folder}: no photos that match {args.pattern}")
    synthesiser = BlurSynthesiser(config)
    size = args.crop + 2 * synthesiser.margin_px
    photos = [read_photo(paths[i % len(paths)]) for i in range(args.count)]
    crops = torch.stack([random_crop(photo, size, generator) for photo in photos])
    blurry, sharp = synthesiser(crops, generator)
    return [("synthetic", s, b) for s, b in zip(sharp, blurry, strict=True)]


def real_columns(folder: Path, args: argparse.Namespace) -> list[tuple]:
    """(label, sharp, blurry) of random parts of real pairs."""
    generator = torch.Generator().manual_seed(args.seed)
    paths = sorted(folder.glob("*_blur.*"))
    if not paths:
        raise SystemExit(f"{folder}: no files named *_blur.*")
    columns = []
    for i in range(args.count):
        blurry = paths[(i * 7) % len(paths)]
        pair = torch.cat((read_photo(blurry.with_name(blurry.name.replace("_blur", "_sharp"))), read_photo(blurry)))
        crop = random_crop(pair, args.crop, generator)
        columns.append(("real", crop[:3], crop[3:]))
    return columns


def draw_sheet(columns: list[tuple], across: int) -> Image.Image:
    """Sharp above blurry, `across` pairs a row, a label above each picture."""
    size = columns[0][1].shape[-1]
    cell, down = size + GAP_PX, -(-len(columns) // across)
    row = 2 * (cell + LABEL_PX)
    sheet = Image.new("RGB", (across * cell - GAP_PX, down * row - GAP_PX), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (label, sharp, blurry) in enumerate(columns):
        left, top = (i % across) * cell, (i // across) * row
        psnr = -10 * torch.log10((sharp - blurry).square().mean().clamp(min=1e-10)).item()
        texts = ("sharp", f"blurry, {label}, {psnr:.1f} dB")
        for text, picture in zip(texts, (sharp, blurry), strict=True):
            pen.text((left + 2, top + 2), text, fill="black")
            pixels = picture.mul(255).round().byte().permute(1, 2, 0).numpy()
            sheet.paste(Image.fromarray(pixels), (left, top + LABEL_PX))
            top += cell + LABEL_PX
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="SHARP_FOLDER", help="folder of sharp photos")
    parser.add_argument("out", type=Path, metavar="OUT.jpg", help="picture to write")
    parser.add_argument("--pairs", type=Path, help="folder of real pairs to draw below")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pattern", default="*", help="which photos, such as 'park_*'")
    parser.add_argument("--count", type=int, default=12, help="pairs of each kind")
    parser.add_argument("--across", type=int, default=6, help="pairs in a row")
    parser.add_argument("--crop", type=int, default=192, help="side of a crop in pixels")
    args = parser.parse_args()
    columns = synthetic_columns(args.folder, BlurConfig(), args)
    if args.pairs:
        columns += real_columns(args.pairs, args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(columns, args.across).save(args.out, quality=88)
    print(f"{args.out}: {len(columns)} pairs")


if __name__ == "__main__":
    main()
