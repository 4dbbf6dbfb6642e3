"""How a fixed time is divided among the stages, and plan.json, in which is written down what is done."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from resharp.errors import ConfigError
from resharp.files import write_text

PLAN = "plan.json"
# Shares of the training time.
SHARES = {"predictor": 0.55, "denoiser": 0.35, "distil": 0.10}
# Seconds at the end for evaluation and results: this share of the time, within these limits.
END_SHARE, END_S = 0.1, (15.0, 120.0)


def seconds_of_stages(minutes: float) -> dict[str, float]:
    """Seconds of training for each stage, in order; what is left of `minutes` is for the end.

    What starting up takes is taken from all stages that are still to come, in proportion; see `allotted`.

    Raises:
        ConfigError: too little to train at all.
    """
    if not minutes >= 0.5:
        raise ConfigError(f"--minutes is {minutes:g}; at least half a minute is needed")
    total = 60 * minutes
    training = total - min(max(END_SHARE * total, END_S[0]), END_S[1])
    return {stage: share * training for stage, share in SHARES.items()}


def allotted(budgets: Mapping[str, float], used: Mapping[str, float], stage: str, left: float) -> float:
    """Seconds that a stage may take of the `left` ones, in proportion to what each stage has not used yet.

    Args:
        budgets: of the stages that are not done, from `seconds_of_stages`.
        used: seconds by stage, so far.
    """
    # One that has used its time and is not done has no model yet, and the next one needs it.
    wanted = {name: max(budget - used.get(name, 0.0), 0.1 * budget) for name, budget in budgets.items()}
    return max(left, 0.0) * wanted[stage] / sum(wanted.values())


@dataclass
class Plan:
    """What was decided and what is done; kept in `plan.json`, so that the next call goes on.

    batch_size: 0 until it is known.
    steps, taken, used_s, crops_per_s: by stage; steps to take and steps taken, seconds, and the rate with validation.
    done: stages whose time is up, or whose steps are taken.
    wall_s: of all calls, this one included.
    """

    minutes: float
    batch_size: int = 0
    wall_s: float = 0.0
    steps: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    used_s: dict[str, float] = field(default_factory=dict)
    crops_per_s: dict[str, float] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._started = time.monotonic() - self.wall_s

    @classmethod
    def open(cls, work: Path, minutes: float, began: float) -> Plan:
        """That of the folder, or a new one; the time may not change between calls, since rates follow from it.

        Args:
            began: value of time.monotonic() at the beginning of this call.

        Raises:
            ConfigError: it cannot be read, or was made for another time.
        """
        try:
            plan = cls(**json.loads((work / PLAN).read_text(encoding="utf-8")))
        except FileNotFoundError:
            plan = cls(minutes)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"{work / PLAN}: cannot be read ({error}); delete {work} to begin anew") from error
        if plan.minutes != minutes:
            raise ConfigError(f"{work}: was begun with --minutes {plan.minutes:g}; give that, or another --work")
        plan._started = began - plan.wall_s
        return plan

    def save(self, work: Path) -> None:
        """Write it, with the time up to now."""
        self.wall_s = time.monotonic() - self._started
        write_text(work / PLAN, json.dumps(asdict(self), indent=2) + "\n")
