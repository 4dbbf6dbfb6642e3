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
_VALUES = (
    *(
        "0",
        "1",
        "2",
        "3",
        "-1",
        "64",
        "10001",
        "281474976710656",
        "99999999999999999999",
        "0.5",
        "-0.5",
        "1e-9",
        "1e999",
    ),
    *("nan", "inf", "", " ", "x", "auto", "cpu", "cuda", "mps", "predictor", "diffusion", "draft", "best", "standard"),
    *("dpm++", "ddim", "ddpm", "unipc", "default", "one-step", "none", "a/b/c", "../..", "/dev/null", "/dev/zero"),
    *("two\nlines", "nul\0byte", "\udcff", "ünï", "-", "--", "a=b", "=", "[1,2]", "x" * 300, "gopro:x", "folder:."),
    *("psnr", "psnr,ssim", "psnr,nothing", ",", "psnr,psnr", "all", "test", ".png", "out.png", "out.jpg", "out.xyz"),
)


def random_words(draw: random.Random, places: list[str]) -> list[str]:
    """A command with its arguments, and up to five options. No new file goes to the working directory by itself."""
    name, command = draw.choice(_commands())
    words = name.split()
    if draw.random() < 0.05:
        words[-1] = draw.choice(("", "deblurr", "--version", "--help", "-h", "\0"))
    for parameter in command.params:
        if parameter.param_type_name == "argument" and draw.random() < 0.95:
            words += [_value(draw, places)] * draw.choice((1, 1, 1, 2))
        elif getattr(parameter, "required", False) and draw.random() < 0.9:
            words += [parameter.opts[0], _value(draw, places)]
    options = [each for each in command.params if each.param_type_name == "option"]
    for option in draw.sample(options, min(len(options), draw.randrange(6))):
        words.append(draw.choice(option.opts) if draw.random() < 0.97 else "--no-such")
        if not getattr(option, "is_flag", False) and draw.random() < 0.97:
            words.append(_value(draw, places))
    return words


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


def _value(draw: random.Random, places: list[str]) -> str:
    return draw.choice(places) if draw.random() < 0.5 else draw.choice(_VALUES)
