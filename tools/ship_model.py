"""Put a trained model into the package, in half precision: `ship_model.py runs/NAME/model [--as one-step]`.

Its default output is "input", which changes nothing, until `resharp gate src/resharp/weights/NAME --write` has
measured what it may do. What is given here are the settings of the diffusion that the gate will measure.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from resharp.diffusion.schedule import SPACINGS
from resharp.hub import SHIPPED, SHIPPED_NAMES
from resharp.pipeline import DeblurPipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a model folder")
    parser.add_argument("--as", dest="name", choices=SHIPPED_NAMES, default=SHIPPED_NAMES[0])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--fidelity", type=float)
    parser.add_argument("--spacing", choices=SPACINGS)
    parser.add_argument("--start", type=float)
    options = vars(parser.parse_args())
    folder = SHIPPED.with_name(options.pop("name"))
    pipeline = DeblurPipeline.from_pretrained(options.pop("model"))
    given = {name: value for name, value in options.items() if value is not None}
    pipeline.defaults = replace(pipeline.defaults, output="input", **given)
    pipeline.save_pretrained(folder, dtype=torch.float16)
    print(f"{folder}: shipped; now run the gate on it, and update its model card")


if __name__ == "__main__":
    main()
