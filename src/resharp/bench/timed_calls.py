"""Seconds, peak memory and multiply-adds of a call, in the process that makes it.

It needs the standard library, numpy, Pillow and torch, and nothing of resharp: `network_worker` runs where resharp is
not installed.
"""

from __future__ import annotations

import json
import os
import sys
import time

# Calls are repeated until they took this long together, or are this many.
ENOUGH_S = 2.0
MOST_CALLS = 5
# Before the first that counts, a call on the picture's top left corner of so many px makes torch set itself up.
WARM_PX = 64


class NotMeasuredError(Exception):
    """A measurement that ended without figures, and why, in a line."""


def timed(call):
    """Call again and again.

    Returns:
        (seconds of each call, processor seconds of all of them together).
    """
    times = []
    before = time.process_time()
    while not times or (sum(times) < ENOUGH_S and len(times) < MOST_CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times, time.process_time() - before


def restart_peak():
    """Let Linux count the peak from what is held now; elsewhere it is the process's own from its start.

    Returns:
        Whether it does.
    """
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return False
    return True


def peak_bytes():
    """The most memory that this process held since `restart_peak`."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            # Not ru_maxrss, in which Linux counts what the process that started this one had held until then.
            return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    except OSError:
        pass
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        import psutil

        return psutil.Process().memory_info().peak_wset
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def multiply_adds(call):
    """Multiply-adds of the convolutions and matrix products in a call, by torch's counter."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


def read_array(path):
    """An 8-bit picture as an array (1, 3, H, W) float32 in [0, 1]."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB"))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) / np.float32(255)


def read_picture(path):
    """An 8-bit picture as a tensor (1, 3, H, W) float32 in [0, 1]."""
    import torch

    return torch.from_numpy(read_array(path))


def answer(path, measure):
    """Write what `measure` returns, or why it returned nothing, as JSON to `path`."""
    try:
        found = measure()
    except NotMeasuredError as error:
        found = {"failed": str(error)}
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or "memory" in str(error)):
            raise
        found = {"failed": "not enough memory"}
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(found, file)
    os.replace(path + ".part", path)


def figures(call, warm, count, parameters, versions):
    """Measure `call` and say it in the words that `resharp.bench.peer_runs` reads.

    Args:
        warm: a smaller call of the same kind.
        count: a call to count multiply-adds of, or None.
    """
    import torch

    warm()
    restart_peak()
    seconds, processor_s = timed(call)
    found = {"seconds": seconds, "peak_bytes": peak_bytes(), "parameters": parameters, "versions": versions}
    found["cpu_share"] = processor_s / (sum(seconds) * torch.get_num_threads())
    found["multiply_adds"] = None if count is None else multiply_adds(count)
    return found
