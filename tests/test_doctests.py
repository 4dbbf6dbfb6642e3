"""The examples in docstrings, run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest
import torch

import resharp

SOURCE = Path(resharp.__file__).parent
MODULES = [
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]
# What people call first has an example each.
SHOWN = ("resharp.pipeline", "resharp.diffusion.schedule", "resharp.diffusion.samplers", "resharp.diffusion.process")
SHOWN += ("resharp.models.guidance", "resharp.metrics.full_reference", "resharp.data.synthetic", "resharp.inputs")


def test_the_main_parts_have_examples():
    assert set(SHOWN) <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    torch.set_num_threads(1)
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
