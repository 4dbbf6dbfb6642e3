"""Shared by all tests: one thread each (they run side by side), and a tiny model."""

from __future__ import annotations

import pytest
import torch

from resharp.models.icdpm import ICDPM
from tiny import TINY, awake

torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def tiny_model() -> ICDPM:
    """Guided predict-and-refine model of a few thousand parameters, untrained but not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return awake(ICDPM(TINY))
