"""Choose the settings of `resharp.evaluate.classical`: the best mean PSNR on photos blurred as in training.

    python tools/choose_classical.py PHOTOS [--photos 24] [--side 128]

PHOTOS is a folder of sharp training photos. Prints every setting with its mean PSNR, and the input's.
"""

from __future__ import annotations

import argparse

import numpy as np

from resharp.data.blur_config import EXTRA_SHARES, BlurConfig
from resharp.evaluate.classical import richardson_lucy, wiener
from resharp.evaluate.synthetic_pairs import in_domain_pairs
from resharp.metrics.full_reference import psnr

SIGMAS_PX = (0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0)
STEPS = (1, 2, 3, 5, 10, 20)
# Motion, noise and JPEG of training by default, without the rarer ingredients.
BLUR = BlurConfig(**dict.fromkeys(EXTRA_SHARES, 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos_folder", metavar="PHOTOS")
    parser.add_argument("--photos", type=int, default=24, help="how many, evenly from the sorted names")
    parser.add_argument("--side", type=int, default=128, help="side in px of what is kept of each")
    options = parser.parse_args()
    pairs = in_domain_pairs(options.photos_folder, BLUR, side_px=options.side)
    chosen = np.linspace(0, len(pairs) - 1, min(options.photos, len(pairs))).round().astype(int)
    loaded = [pairs[i].load() for i in chosen]

    def report(what: str, restored: list) -> None:
        scores = [float(psnr(image, sharp)) for image, (_, sharp) in zip(restored, loaded, strict=True)]
        print(f"{what}: {np.mean(scores):.3f} dB", flush=True)

    report("input", [blurry for blurry, _ in loaded])
    for sigma in SIGMAS_PX:
        for steps in STEPS:
            report(
                f"richardson-lucy, sigma {sigma}, {steps} steps", [richardson_lucy(b, sigma, steps) for b, _ in loaded]
            )
    for sigma in SIGMAS_PX:
        report(f"wiener, sigma {sigma}", [wiener(blurry, sigma) for blurry, _ in loaded])


if __name__ == "__main__":
    main()
