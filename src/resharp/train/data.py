"""From what the user named as data to a source and to photographs to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from resharp.data.folders import FolderSource, evenly
from resharp.data.layouts import available_splits, find_listing
from resharp.data.listing import Listing
from resharp.data.shard_index import is_shards
from resharp.data.shards import ShardSource
from resharp.data.source import Sample, Source
from resharp.errors import DataError
from resharp.train.config import TrainConfig
from resharp.train.degradation import degradation_of
from resharp.train.validation import CROP_PX

# Splits to validate on, the best one first, and "all" where the photographs are not divided.
_HELD_OUT = ("val", "test", "all")


def open_data(
    config: TrainConfig, places: Sequence[str], validate_on: str | None = None, shard_cache: str | None = None
) -> tuple[Source, list[Sample]]:
    """Open data sets.

    Args:
        config: says which split, how large photographs must be, and how many to validate on.
        places: folders of any layout that `resharp.data.layouts` knows, or one set of shards.
        validate_on: a folder with photographs to validate on. Without it they come from the data set's own
            "val" or "test" photographs; without these, photographs are kept out of training, evenly spaced.
            Shards have none to spare.
        shard_cache: a folder to keep shards in that come from a URL.

    Returns:
        The source, and `validation_photos` photographs or fewer.

    Raises:
        DataError: no such data set, or one that cannot be used; ImageError: a photograph likewise.
    """
    margin_px = degradation_of(config).margin_px
    shards = [place for place in places if is_shards(place)]
    if shards:
        if len(places) > 1:
            raise DataError(f"{shards[0]}: packed shards can only be the one and only --data; pack all of it together")
        source = ShardSource(shards[0], streams=config.streams, cache_dir=shard_cache)
        source.min_side_px = config.crop_px + (2 * margin_px if source.kind == "sharp" else 0)
        return source, _validation(config, validate_on, margin_px) if validate_on else []
    kinds = {"gopro_blur": config.gopro_blur, "reds_blur": config.reds_blur}
    listings = [find_listing(place, config.split, **kinds) for place in places]
    folder = FolderSource(
        listings,
        min_side_px=config.crop_px + (2 * margin_px if listings[0].kind == "sharp" else 0),
        cache_gb=config.cache_gb,
    )
    if not config.validation_photos:
        return folder, []
    own = [
        split for split in available_splits(places[0], **kinds) if split in ("val", "test") and split != config.split
    ]
    if validate_on or own:
        return folder, _validation(config, validate_on or places[0], margin_px)
    return folder, folder.hold_out(config.validation_photos)


def _validation(config: TrainConfig, place: str, margin_px: int) -> list[Sample]:
    kinds = {"gopro_blur": config.gopro_blur, "reds_blur": config.reds_blur}
    splits = available_splits(place, **kinds)
    split = next((name for name in _HELD_OUT if name in splits and name != config.split), splits[0])
    listing = find_listing(place, split, **kinds)
    min_side_px = CROP_PX + (2 * margin_px if listing.kind == "sharp" else 0)
    # Headers of a few thousand photographs are not worth reading for eight of them.
    count = config.validation_photos
    spaced = listing.entries[:: max(1, len(listing.entries) // (4 * count))]
    source = FolderSource([Listing(listing.layout, Path(place), split, spaced)], min_side_px=min_side_px, cache_gb=0.0)
    return evenly(source, count)[0]
