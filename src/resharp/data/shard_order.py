"""Which sample of a set of shards is in which step: arithmetic alone, nothing is read.

An epoch goes through the shards in an order of its own, from a place of its own on, round a circle. That circle is
cut into one stretch for each part of a step, and each part's stretch into one for each of its lanes; so every
reader has few shards to read, one after another. Within a stretch, windows of some hundred samples are shuffled.
Samples were written in a random order too, so windows are mixed from the start.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from resharp.data.draws import ORDER, derived_seed
from resharp.data.source import Batching


class At(NamedTuple):
    """A sample: which shard, and the how manieth in it."""

    shard: int
    row: int


class Lane(NamedTuple):
    """The samples of one part of an epoch's steps, of every `streams`-th of them.

    first: its first sample's place on the epoch's circle.
    length: how many samples it has.
    """

    seed: int
    epoch: int
    part: int
    number: int
    first: int
    length: int


class ShardOrder:
    """The order of training over shards of so many samples each.

    Args:
        samples: of each shard.
        window: samples that are shuffled together.
        streams: lanes of each part. Step s is in lane s % streams. Workers that take every n-th step each, where
            n divides `streams`, never need the same lane.
    """

    def __init__(self, samples: Sequence[int], window: int, streams: int) -> None:
        self.samples, self.window, self.streams = tuple(samples), window, streams
        self.total = sum(samples)
        self._circles: dict[tuple[int, int], tuple[list[int], list[int], int]] = {}

    def epoch_steps(self, batching: Batching) -> int:
        """Steps until the next epoch: what is left over, less than a batch, is other samples in each epoch."""
        return max(1, self.total // (batching.parts * batching.part_size))

    def lane(self, batching: Batching, step: int, part: int) -> tuple[Lane, int]:
        """The lane that a part of a step is in, and the place in it of the part's first sample."""
        steps, size = self.epoch_steps(batching), batching.part_size
        epoch = step // steps
        begin, number = epoch * steps, step % self.streams
        counts = [self._in_lane(begin + steps, i) - self._in_lane(begin, i) for i in range(self.streams)]
        first = part * steps * size + sum(counts[:number]) * size
        place = (self._in_lane(step, number) - self._in_lane(begin, number)) * size
        return Lane(batching.seed, epoch, part, number, first, counts[number] * size), place

    def sample(self, lane: Lane, place: int) -> At:
        """The lane's sample at `place`, shuffled; places from the lane's length on go on round the circle."""
        if place >= lane.length:
            return self._on_circle(lane.seed, lane.epoch, lane.first + place)
        window, inside = divmod(place, self.window)
        start = window * self.window
        order = _window_order(min(self.window, lane.length - start), *lane[:4], window)
        return self._on_circle(lane.seed, lane.epoch, lane.first + start + order[inside])

    def window_samples(self, lane: Lane, window: int) -> list[At]:
        """The samples at places window * self.window and on, in the order of reading."""
        start = window * self.window
        end = min(start + self.window, lane.length)
        return [self._on_circle(lane.seed, lane.epoch, lane.first + i) for i in range(start, end)]

    def _in_lane(self, steps: int, number: int) -> int:
        """How many of the first `steps` steps of a run are in a lane."""
        return (steps - number + self.streams - 1) // self.streams

    def _on_circle(self, seed: int, epoch: int, place: int) -> At:
        if (seed, epoch) not in self._circles:
            if len(self._circles) >= 4:
                self._circles.clear()
            shards = shuffled(len(self.samples), seed, epoch)
            ends = list(itertools.accumulate(self.samples[shard] for shard in shards))
            self._circles[seed, epoch] = shards, ends, derived_seed(seed, epoch, ORDER) % self.total
        shards, ends, start = self._circles[seed, epoch]
        place = (start + place) % self.total
        which = bisect.bisect_right(ends, place)
        return At(shards[which], place - (ends[which] - self.samples[shards[which]]))


def shuffled(count: int, *key: int) -> list[int]:
    """0 ... count - 1 in an order that follows from `key`, on every machine and for every version of any library.

    A run over shards must be resumable elsewhere; generators' shuffles are not promised to stay the same.
    """
    return sorted(range(count), key=lambda i: derived_seed(*key, ORDER, i))


@functools.lru_cache(maxsize=256)
def _window_order(count: int, *key: int) -> list[int]:
    return shuffled(count, *key)
