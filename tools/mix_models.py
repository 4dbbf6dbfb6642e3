"""A model between two of one shape: `mix_models.py FIRST SECOND --share 0.6 --out FOLDER [--denoiser MODEL]`.

Its guidance and predictor are the weighted mean of both models' weights, with `share` of the second. That is useful
where the second was fine-tuned from the first, such as with another loss: in between lies a compromise of what
both do (arXiv 1811.10515). The denoiser is that of `--denoiser`, or of the second.
"""

from __future__ import annotations

import argparse
import sys

from resharp.errors import ConfigError
from resharp.pipeline import DeblurPipeline


def mix(first: DeblurPipeline, second: DeblurPipeline, share: float, denoiser: DeblurPipeline) -> DeblurPipeline:
    """`denoiser`'s pipeline with the guidance and the predictor that lie between those of the others, in place.

    Raises:
        ConfigError: models of different shapes, or a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"--share is {share}; allowed: 0 to 1")
    # What the denoiser is and predicts is its own affair; the rest must be alike.
    configs = [each.model.config for each in (first, second, denoiser)]
    shapes = {(c.guidance, c.predictor, c.patch_size, c.residual_scale) for c in configs}
    if len(shapes) > 1:
        raise ConfigError("the models are not of one shape; mix those of one training")
    ends, state = (first.model.state_dict(), second.model.state_dict()), denoiser.model.state_dict()
    for name in state:
        if not name.startswith("denoiser."):
            state[name] = ends[0][name].lerp(ends[1][name], share)
    denoiser.model.load_state_dict(state)
    return denoiser


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--share", type=float, required=True, help="of the second, 0 to 1")
    parser.add_argument("--denoiser", metavar="MODEL", help="default: the second")
    parser.add_argument("--out", required=True)
    options = parser.parse_args(words)
    models = [options.first, options.second, options.denoiser or options.second]
    first, second, denoiser = map(DeblurPipeline.from_pretrained, models)
    try:
        mixed = mix(first, second, options.share, denoiser)
    except ConfigError as error:
        sys.exit(f"mix_models.py: {error}")
    mixed.save_pretrained(options.out)
    print(f"{options.out}: {1 - options.share:g} of {options.first} and {options.share:g} of {options.second}")


if __name__ == "__main__":
    main()
