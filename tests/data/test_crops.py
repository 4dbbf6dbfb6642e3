"""Crops: at the same place in both partners, and turned alike."""

from __future__ import annotations

import torch

from resharp.data.crops import CropBatches, cropped, turned
from resharp.data.draws import BLUR, CROP, derived_seed, part_generator
from resharp.data.folders import FolderSource
from resharp.data.source import Batching, Sample
from runs import pair_listing, rectangles, sharp_listing


def test_crops_follow_from_seed_step_and_part_alone(tmp_path):
    source = FolderSource([sharp_listing(tmp_path, 4, 96)])
    crops = CropBatches(source, Batching(6, 2, 1), 48, 0.6)
    assert crops[7, 1].sharp.shape == (3, 3, 48, 48)
    assert torch.equal(crops[7, 1].sharp, crops[7, 1].sharp)
    assert not torch.equal(crops[7, 1].sharp, crops[7, 0].sharp)
    assert not torch.equal(crops[7, 1].sharp, crops[8, 1].sharp)
    other = CropBatches(source, Batching(6, 2, 2), 48, 0.6)
    assert not torch.equal(crops[7, 1].sharp, other[7, 1].sharp)


def test_partners_are_cropped_at_the_same_place(tmp_path, generator):
    height, width = 50, 70
    place = torch.arange(height * width).view(1, height, width).expand(3, -1, -1)
    sample = Sample("a", (place % 251).byte(), (place // 251).byte())
    found = set()
    for _ in range(40):
        crop = cropped(sample, 32, 0.5, generator)
        number = crop.blurry[0].int() * 251 + crop.sharp[0].int()
        top, left = divmod(int(number[0, 0]), width)
        assert torch.equal(number, place[0, top : top + 32, left : left + 32])
        found.add((top, left))
    tops, lefts = zip(*found, strict=True)
    assert min(tops) < 4
    assert max(tops) > 14
    assert min(lefts) < 6
    assert max(lefts) > 32


def test_sharp_photographs_are_shrunk_at_most_to_scale_min(generator):
    steps = torch.arange(200.0).repeat(3, 200, 1).byte()  # rises by 1 a pixel to the right
    slopes = []
    for _ in range(50):
        crop = cropped(Sample("a", steps), 64, 0.5, generator).sharp.float()
        slopes.append(float((crop[0, 32, 48] - crop[0, 32, 16]) / 32))
    assert min(slopes) >= 0.99
    assert 1.7 < max(slopes) <= 2.05
    whole = cropped(Sample("a", steps[:, :64, :64]), 64, 0.5, generator).sharp
    assert torch.equal(whole, steps[:, :64, :64]), "a photograph of just the size is taken as it is"


def test_turns_are_the_eight_of_a_square_and_the_same_in_all_images():
    image = torch.arange(9.0).view(1, 1, 3, 3)
    eight = [torch.rot90(flipped, k, (2, 3)) for flipped in (image, image.flip(3)) for k in range(4)]
    batch = image.expand(400, 1, 3, 3)
    first, second = turned([batch, batch + 100], seed=1, step=2, part=0)
    assert torch.equal(second, first + 100)
    counts = [int((first == one).flatten(1).all(1).sum()) for one in eight]
    assert sum(counts) == 400
    assert min(counts) > 20
    assert not torch.equal(turned([batch], seed=1, step=3, part=0)[0], first)


def test_pairs_are_not_resized(tmp_path):
    source = FolderSource([pair_listing(tmp_path, 2, 64)])
    crops = CropBatches(source, Batching(2, 1, 0), 64, 0.5)[0, 0]
    whole = rectangles(2, 64)
    assert all(any(torch.equal(crop, photo) for photo in whole) for crop in crops.sharp)


def test_seeds_are_all_different_and_generators_repeat():
    seeds = {derived_seed(seed, step, part, 0) for seed in range(5) for step in range(50) for part in range(4)}
    assert len(seeds) == 1000
    draws = [torch.rand(3, generator=part_generator(1, 2, 3, purpose)).tolist() for purpose in (CROP, CROP, BLUR)]
    assert draws[0] == draws[1] != draws[2]
    # Neighbouring steps: no correlation beyond chance (a standard deviation of 0.01).
    first = torch.stack([torch.rand(10, generator=part_generator(0, step, 0, CROP)) for step in range(1001)]) - 0.5
    assert abs(float((first[1:] * first[:-1]).mean() * 12)) < 0.05
