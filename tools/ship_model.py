"""Put a trained model into the package as the shipped default, in half precision: `ship_model.py runs/NAME/model`.

Its default output is "input", which changes nothing, until `resharp gate src/resharp/weights/default --write` has
measured what it may do.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from resharp.hub import SHIPPED
from resharp.pipeline import DeblurPipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a model folder")
    parser.add_argument("--steps", type=int, help="the diffusion's default number of steps")
    options = parser.parse_args()
    pipeline = DeblurPipeline.from_pretrained(options.model)
    steps = options.steps or pipeline.defaults.steps
    pipeline.defaults = replace(pipeline.defaults, output="input", steps=steps)
    pipeline.save_pretrained(SHIPPED, dtype=torch.float16)
    print(f"{SHIPPED}: shipped; now run the gate on it, and update its model card")


if __name__ == "__main__":
    main()
