"""Train the laptop model's three stages, one after the other; the same command goes on where it was stopped.

What comes after `--` goes to each `resharp train`, such as `-- --device cpu --workers 1 --threads 1`.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from resharp.train.checkpoint import checkpoint_paths

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
# Each stage begins with the model of the one before.
STAGES = ("fast", "fast_denoiser", "one_step")
PERCEPTUAL = "fast_perceptual"  # after the first, if there are weights of AlexNet


def is_finished(folder: Path) -> bool:
    """Whether the run in this folder has taken all its steps."""
    newest = next(iter(checkpoint_paths(folder)), None)
    if newest is None:
        return False
    steps = json.loads((folder / "config.json").read_text(encoding="utf-8"))["steps"]
    return int(newest.stem.removeprefix("step-")) >= steps


def train(command: list[str]) -> int:
    """Run a command to its end; a signal to this process is one to the command, which saves before it ends."""
    process = subprocess.Popen(command)
    before = signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    # A terminal sends Ctrl-C to both.
    before_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, before_interrupt)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, metavar="PLACE", help="as for `resharp train`")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="default runs")
    parser.add_argument("--trunk", metavar="FILE", help="AlexNet weights: the predictor goes on with LPIPS")
    parser.add_argument("--minutes", type=float, help="stop after this long; the same command goes on")
    parser.add_argument("options", nargs="*", help="options of `resharp train`, after --")
    chosen = parser.parse_args(words)
    began = time.monotonic()
    init: list[str] = []
    for stage in STAGES if chosen.trunk is None else (STAGES[0], PERCEPTUAL, *STAGES[1:]):
        folder = chosen.runs / stage
        command = [sys.executable, "-m", "resharp", "train", str(CONFIGS / f"{stage}.toml"), "--out", str(folder)]
        for place in chosen.data:
            command += ["--data", place]
        command += [*init, *chosen.options]
        if stage == PERCEPTUAL:
            command += ["--set", f"perceptual_trunk={chosen.trunk}"]
        if chosen.minutes is not None:
            left = chosen.minutes - (time.monotonic() - began) / 60
            command += ["--minutes", f"{max(left, 0.01):.3f}"]
        if not is_finished(folder):
            code = train(command)
            if code or not is_finished(folder):
                return code
        init = ["--init", str(folder / "model")]
    return 0


if __name__ == "__main__":
    sys.exit(main())
