"""Words for the command line: real options with values that fit, nearly fit or do not fit."""

from __future__ import annotations

import functools
import random
from typing import Any

import typer

from resharp.cli.main import app

# A page that is served, benchmarks, and training ask for minutes or never end.
_ENDLESS = {"train", "adapt", "ablate", "gate", "score", "bench", "study serve", "analyze cost", "analyze pd-curve"}
_ENDLESS |= {"analyze memorisation", "analyze domain-distance", "analyze blur-gap"}
_NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "-1",
    "64",
    "10001",
    "281474976710656",
    "9" * 20,
    "0.5",
    "-0.5",
    "1e-9",
    "1e999",
    "nan",
    "inf",
)
_STRANGE = (
    "",
    " ",
    "x",
    "a/b/c",
    "../..",
    "/dev/null",
    "/dev/zero",
    "two\nlines",
    "nul\0byte",
    "\udcff",
    "ünï",
    "-",
    "--",
)
_STRANGE += ("a=b", "=", "[1,2]", "x" * 300, "none", "out.png", "out.xyz", ",", "all", "default")
_FITTING = {
    "--device": ("cpu", "auto", "cuda"),
    "--part": ("predictor", "diffusion"),
    "--quality": ("draft", "standard", "best"),
    "--sampler": ("dpm++", "ddim", "ddpm", "unipc"),
    "--metrics": ("psnr", "ssim", "psnr,ssim", "psnr,nothing", "psnr,psnr"),
    "--split": ("test", "train", "all"),
    "--data": ("pairs:x", "gopro:x", "folder:."),
    "--published": ("gopro", "hide"),
    "--format": ("png", "jpg"),
    "--curve": ("srgb", "linear"),
}


def random_words(draw: random.Random, places: list[str]) -> list[str]:
    """A command with its arguments, and up to five options. No new file goes to the working directory by itself."""
    name, command = draw.choice(_commands())
    words = name.split()
    if draw.random() < 0.05:
        words[-1] = draw.choice(("", "deblurr", "--version", "--help", "-h", "\0"))
    for parameter in command.params:
        if parameter.param_type_name == "argument" and draw.random() < 0.95:
            words += [_place(draw, places)] * draw.choice((1, 1, 1, 2))
        elif getattr(parameter, "required", False) and draw.random() < 0.9:
            words += [parameter.opts[0], _place(draw, places)]
    options = [each for each in command.params if each.param_type_name == "option"]
    for option in draw.sample(options, min(len(options), draw.randrange(6))):
        words.append(draw.choice(option.opts) if draw.random() < 0.97 else "--no-such")
        if not getattr(option, "is_flag", False) and draw.random() < 0.97:
            words.append(_value(draw, option.opts[-1], places))
    return words


def _place(draw: random.Random, places: list[str]) -> str:
    return draw.choice(places) if draw.random() < 0.85 else draw.choice(_STRANGE)


def _value(draw: random.Random, option: str, places: list[str]) -> str:
    if draw.random() < 0.1:
        return draw.choice(_STRANGE)
    if option in _FITTING:
        return draw.choice(_FITTING[option])
    takes_place = option in ("--output", "-o", "--out", "--model", "--photo", "--spread", "--blurry", "--csv", "--peer")
    return _place(draw, places) if takes_place else draw.choice(_NUMBERS)


@functools.cache
def _commands() -> list[tuple[str, Any]]:
    found = []

    def walk(command: Any, path: list[str]) -> None:
        for name, below in getattr(command, "commands", {}).items():
            walk(below, [*path, name])
        if path and not hasattr(command, "commands") and not {path[0], " ".join(path)} & _ENDLESS:
            found.append((" ".join(path), command))

    walk(typer.main.get_command(app), [])
    return found
