"""Scores of a model's parts on real pairs and on sharp photos blurred otherwise than in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from resharp.cli.each_image import OnImage
from resharp.errors import DataError
from resharp.evaluate.gate import Candidate
from resharp.evaluate.protocols import out_of_domain_pairs, paired_folder
from resharp.evaluate.score import Metric, Row, Summary, paired_scores, score_restorer, summarise
from resharp.pipeline import DeblurPipeline

PROTOCOLS = ("real", "out_of_domain")


@dataclass(frozen=True)
class Scores:
    """The rows of each (part, protocol), as they were measured."""

    rows: dict[tuple[str, str], list[Row]]

    def summaries(self) -> dict[tuple[str, str], list[Summary]]:
        """Means, gains and their errors."""
        return {key: summarise(rows) for key, rows in self.rows.items()}

    def candidates(self) -> dict[str, Candidate]:
        """What the decision asks for."""
        scored = {key: paired_scores(rows) for key, rows in self.rows.items()}
        parts = dict.fromkeys(part for part, _ in scored)
        return {part: Candidate(*(scored[part, protocol] for protocol in PROTOCOLS)) for part in parts}


class Scorer:
    """Scores one part of a model after the other.

    Args:
        pipeline: the model.
        pairs, sharp: folders of real pairs, and of sharp photos to blur.
        seeds: of the diffusion's noise; on the sharp photos also of the blur.
        steps, samples: of the diffusion.
        lpips: None leaves LPIPS out.
        on_image: called with what is being scored, how many are done, how many there are, and a name.

    Raises:
        DataError: a folder that cannot be used, or has fewer than the two images a standard error needs.
    """

    def __init__(
        self,
        pipeline: DeblurPipeline,
        pairs: str,
        sharp: str,
        *,
        seeds: Sequence[int],
        steps: int,
        samples: int,
        lpips: Metric | None,
        on_image: OnImage,
    ) -> None:
        self.pipeline, self.seeds, self.lpips, self.on_image = pipeline, seeds, lpips, on_image
        self.drawing = {"steps": steps, "samples": samples}
        self.real = paired_folder(pairs)
        self.out_of_domain = {seed: out_of_domain_pairs(sharp, seed) for seed in seeds}
        for folder, found in ((pairs, self.real), (sharp, self.out_of_domain[seeds[0]])):
            if len(found) < 2:
                raise DataError(f"{folder}: a single picture has no standard error; give at least two")

    def __call__(self, parts: Sequence[str]) -> Scores:
        """Score these parts on both protocols."""
        rows: dict[tuple[str, str], list[Row]] = {}
        for part in parts:
            rows[part, "real"] = self._real(part)
            rows[part, "out_of_domain"] = self._out_of_domain(part)
        return Scores(rows)

    def _real(self, part: str) -> list[Row]:
        # The predictor draws nothing: one run of it serves all seeds.
        once = part == "predictor"
        total = len(self.real) * (1 if once else len(self.seeds))

        def progress(done: int, name: str) -> None:
            self.on_image(f"{part}, real", done, total, name)

        return score_restorer(self._restorer(part), self.real, self.seeds, self.lpips, progress, once)

    def _out_of_domain(self, part: str) -> list[Row]:
        rows: list[Row] = []
        per_seed = len(self.out_of_domain[self.seeds[0]])
        for i, (seed, pairs) in enumerate(self.out_of_domain.items()):

            def progress(done: int, name: str, before: int = i * per_seed) -> None:
                self.on_image(f"{part}, out of domain", before + done, len(self.seeds) * per_seed, name)

            rows += score_restorer(self._restorer(part), pairs, [seed], self.lpips, progress)
        return rows

    def _restorer(self, part: str) -> Callable[[Tensor, int], Tensor]:
        drawing = self.drawing if part == "diffusion" else {}
        return lambda blurry, seed: self.pipeline.restore(blurry, output=part, seed=seed, **drawing).image
