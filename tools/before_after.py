"""Draw two pictures of one size side by side, with titles: `before_after.py BLURRY RESTORED OUT`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from resharp.images.reading import read_photo
from resharp.images.sheet import write_sheet
from resharp.images.tensors import photo_to_tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("blurry", type=Path)
    parser.add_argument("restored", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--crop", type=int, nargs=4, metavar=("LEFT", "TOP", "WIDTH", "HEIGHT"))
    options = parser.parse_args()
    columns: dict[str, torch.Tensor] = {}
    for title, path in (("blurry", options.blurry), ("resharp", options.restored)):
        image = photo_to_tensor(read_photo(path))
        if options.crop:
            left, top, width, height = options.crop
            image = image[..., top : top + height, left : left + width]
        columns[title] = image
    write_sheet(options.out, columns, rows=1)


if __name__ == "__main__":
    main()
