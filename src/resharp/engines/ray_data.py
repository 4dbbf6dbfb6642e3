"""Tasks through Ray Data: `map_batches` over a pool of actors, on this machine or on a cluster.

What Ray Data promises is that the tasks of a killed actor are run again, without end. That no work is lost or done
twice comes from the tasks: deterministic names, whole files, receipts. A task that kills its actors is given up.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from types import ModuleType
from typing import Any

import numpy as np

from resharp.data.remote import shown
from resharp.engines.ledger import Ledger
from resharp.engines.run import Done, Make
from resharp.engines.tasks import Task
from resharp.engines.worker import Worker, describe
from resharp.errors import ConfigError
from resharp.picture import Result
from resharp.receipt import Receipt

TRIES = 3
_MOST_IN_A_BLOCK = 16  # a block is reported, and done again, as a whole
_OBJECT_STORE_BYTES = 200_000_000  # photos do not go through it


class _Actor:
    """What Ray starts in each of its processes. A task that has killed `TRIES` of them is not tried again."""

    def __init__(self, make: Make, ledger: Any) -> None:
        self.ledger = ledger
        self.worker: Worker | None = None
        self.problem = ""
        try:
            self.worker = make()
        except Exception as error:  # Ray would start it again without end
            self.problem = f"a worker could not start: {describe(error)}"

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        texts = []
        for number, data in zip(batch["number"].tolist(), batch["task"], strict=True):
            texts.append(json.dumps([asdict(result) for result in self._do(number, pickle.loads(bytes(data)))]))
        return {"number": batch["number"], "results": np.array(texts, dtype=object)}

    def _do(self, number: int, task: Task) -> list[Result]:
        import ray

        source = shown(task.source)
        if self.worker is None:
            return [Result(source, error=self.problem)]
        if ray.get(self.ledger.begin.remote(number)) > TRIES:
            return [Result(source, error=f"{source}: the worker died at each of {TRIES} tries; is memory enough?")]
        results = self.worker(task)
        ray.get(self.ledger.end.remote(number))
        return results


def run_ray(tasks: Sequence[Task], make: Make, *, workers: int | None, device: str) -> Iterator[Done]:
    """Number and results of each task, in the order in which they are done; each number once.

    RAY_ADDRESS names the cluster; without it Ray starts on this machine, and ends with the iteration.

    Args:
        make: pickled for the actors; resharp must be installed where they run.
        workers: actors at most; None takes as many as there are free cores, or GPUs with a device of that kind.
        device: as `--device`; with "cuda", or "auto" where the cluster has GPUs, each actor gets one.

    Raises:
        ConfigError: Ray is missing, or does not start.
    """
    ray = _ray()
    if not tasks:
        return
    with _cluster(ray, workers):
        available = ray.cluster_resources()
        gpus = 1 if device == "cuda" or (device == "auto" and available.get("GPU", 0) >= 1) else 0
        most = int(workers or available.get("GPU" if gpus else "CPU", 1)) or 1
        pending = set(range(len(tasks)))
        for number, results in _done(ray, tasks, make, most, gpus):
            if number in pending:
                pending.remove(number)
                yield number, results
        for number in sorted(pending):
            source = shown(tasks[number].source)
            yield number, [Result(source, error=f"{source}: lost by Ray; run again")]


def _done(ray: ModuleType, tasks: Sequence[Task], make: Make, most: int, gpus: int) -> Iterator[Done]:
    rows = [{"number": number, "task": pickle.dumps(task)} for number, task in enumerate(tasks)]
    in_a_block = max(1, min(_MOST_IN_A_BLOCK, len(rows) // (8 * most)))
    data = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // in_a_block)).map_batches(
        _Actor,
        fn_constructor_args=(make, ray.remote(num_cpus=0)(Ledger).remote()),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
        num_cpus=None if gpus else 1,
        num_gpus=gpus or None,
    )
    for row in data.iter_rows():
        yield int(row["number"]), [_result(each) for each in json.loads(row["results"])]


def _result(values: dict[str, Any]) -> Result:
    receipt = values["receipt"]
    values["receipt"] = None if receipt is None else Receipt(**receipt)
    return Result(**values)


def _ray() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ConfigError("--engine ray needs Ray; install it with: pip install 'resharp[ray]'") from error
    return ray


@contextmanager
def _cluster(ray: ModuleType, workers: int | None) -> Iterator[None]:
    """Connected or started, quiet, and left at the end; SIGTERM keeps its meaning of an interruption."""
    handler = signal.getsignal(signal.SIGTERM)
    local: dict[str, Any] = {
        "num_cpus": workers,
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
    options = {} if os.environ.get("RAY_ADDRESS") else local
    try:
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"Ray does not start ({reason}); check RAY_ADDRESS, or leave out --engine ray") from error
    if handler is not None:
        signal.signal(signal.SIGTERM, handler)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # what is missing at the end is told
    try:
        yield
    finally:
        ray.shutdown()
