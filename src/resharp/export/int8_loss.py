"""What int8 costs: scores, size and seconds of the graphs before and after, on pairs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from resharp.data.blur_config import BlurConfig
from resharp.evaluate.centre import CentrePair
from resharp.evaluate.pairs import FilePair, paired_folder
from resharp.evaluate.synthetic_pairs import in_domain_pairs
from resharp.metrics.full_reference import psnr
from resharp.metrics.lpips import LPIPS, load_lpips
from resharp.runtime.networks import Networks
from resharp.runtime.pictures import to_network, to_unit

CALIBRATION_PX, PICTURES, SCORED_PX = 128, 32, 256


def calibration_pictures(photos: Path) -> list[np.ndarray]:
    """The middles of up to 32 sharp photos of a folder, blurred as in training, (1, 3, 128, 128) in [0, 1].

    Raises:
        DataError: no folder, no photos, or one that is too small. ImageError: one cannot be read.
    """
    pairs = in_domain_pairs(photos, BlurConfig(), side_px=CALIBRATION_PX)[:PICTURES]
    return [pair.load()[0].numpy() for pair in pairs]


@dataclass(frozen=True)
class Judge:
    """Pairs, and LPIPS where there are weights for it, to score models on."""

    pairs: list[FilePair]
    lpips: LPIPS | None

    @classmethod
    def of(cls, pairs: str, lpips_weights: str | None) -> Judge:
        """From a folder and a file.

        Raises:
            DataError: no pairs. ModelError: the weights cannot be read.
        """
        return cls(paired_folder(pairs), None if lpips_weights is None else load_lpips(lpips_weights))

    @torch.no_grad()
    def scores(self, nets: Sequence[Networks]) -> list[dict[str, float]]:
        """Of each model's predictor on the middles of all pairs: psnr, lpips, and least seconds of a call.

        Raises:
            ImageError: a photo cannot be read.
        """
        found: list[dict[str, list[float]]] = [{} for _ in nets]
        for pair in self.pairs:
            blurry, sharp = CentrePair(pair, SCORED_PX).load()
            for net, values in zip(nets, found, strict=True):
                start = time.perf_counter()
                y = to_network(blurry.numpy(), net.config.size_multiple)
                g = torch.from_numpy(to_unit(net.predict(y, net.guide(y)), (sharp.shape[2], sharp.shape[3])))
                values.setdefault("seconds", []).append(time.perf_counter() - start)
                values.setdefault("psnr", []).append(float(psnr(g, sharp)))
                if self.lpips is not None:
                    values.setdefault("lpips", []).append(float(self.lpips(g, sharp)))
        return [
            {key: min(of) if key == "seconds" else float(np.mean(of)) for key, of in each.items()} for each in found
        ]
