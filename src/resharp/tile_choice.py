"""Which tiles a model's pictures are cut into, from its configuration and the memory there is. No torch needed."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from resharp.diffusion.presets import Preset
from resharp.errors import ConfigError
from resharp.memory import in_words
from resharp.models.config import ModelConfig
from resharp.models.footprint import Footprint, footprint
from resharp.tiling import Plan, Span, Tile, least_tile, plan, sides_within

# The shipped predictor sees up to 426 px far, and what lies farther than this moves its answer by less than a
# hundredth of a level of 255; see docs/speed.md.
MOST_HALO_PX = 112
BLEND_PX = 32
_IMAGE_BYTES = 3 * 4  # per pixel of a picture in float32
# Pictures that sampling holds at once, x_t, y, g, noise, the scheduler's and what is being computed: measured.
_SAMPLING_IMAGES = 16
_MOMENT_IMAGES = 5  # more, where several samples are averaged


@dataclass(frozen=True)
class Tiles:
    """How pictures are cut for one model.

    most: the most that a tile may measure, height and width.
    """

    most: tuple[int, int]
    halo: int
    blend: int
    multiple: int

    def plan(self, height: int, width: int) -> Plan:
        """The tiles of a picture, padded to multiples."""
        sides = (side + -side % self.multiple for side in (height, width))
        tile_height, tile_width = self.most
        fitting = {"halo": self.halo, "blend": self.blend, "multiple": self.multiple}
        return plan(*sides, tile_height=tile_height, tile_width=tile_width, **fitting)

    @property
    def least(self) -> int:
        """The smallest side of a tile, px."""
        return least_tile(self.halo, self.blend, self.multiple)


@dataclass(frozen=True)
class Portions:
    """How much is computed at once.

    tiles: None: the picture as a whole. batch: samples drawn in one network call.
    """

    tiles: Tiles | None = None
    batch: int = 1


def tiles_for(config: ModelConfig, most: tuple[int, int]) -> Tiles:
    """Tiles of at most `most`, with a halo that the model's reach asks for, and no less than they must measure."""
    found, multiple = footprint(config), config.size_multiple
    halo = min(MOST_HALO_PX, max(found.predict_reach, found.step_reach))
    least = least_tile(halo, BLEND_PX, multiple)
    height, width = (max(least, side // multiple * multiple) for side in most)
    return Tiles((height, width), halo, BLEND_PX, multiple)


def guided_box(config: ModelConfig, tile: Tile, height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns that guidance must see, so that h_k of a tile is that of the whole picture.

    Args:
        height, width: of the picture, px; the box lies in the picture padded to multiples.
    """
    multiple = config.size_multiple
    around = footprint(config).guidance_reach
    around += -around % multiple

    def widened(span: Span, size: int) -> slice:
        return slice(max(0, span.start - around), min(size + -size % multiple, span.stop + around))

    return widened(tile.rows, height), widened(tile.columns, width)


def portions_within(
    config: ModelConfig,
    settings: Preset,
    shape: tuple[int, ...],
    room: float,
    in_main: float | None = None,
    *,
    may_try: bool = False,
    tile: tuple[int, int] | None = None,
    batch: int = 1,
) -> Portions:
    """As many samples at once as keep to the room; a picture is cut only where not even one fits as a whole.

    Args:
        tile: whatever the room, the most that a tile may measure.
        batch: the most samples at once; with `tile` so many, whatever the room.
        shape, room, in_main, may_try: see `tiles_within`.

    Raises:
        ConfigError: as `tiles_within`.
    """
    batch = min(batch, settings.samples) if settings.output == "diffusion" else 1
    if tile is not None:
        return Portions(tiles_for(config, tile), batch)
    pixels, found = shape[0] * prod(shape[2:]), footprint(config)
    for count in range(batch, 1, -1):
        if pixels * _whole_bytes(settings, found, count) <= room:
            return Portions(None, count)
    return Portions(tiles_within(config, settings, shape, room, in_main, may_try=may_try))


def tiles_within(
    config: ModelConfig,
    settings: Preset,
    shape: tuple[int, ...],
    room: float,
    in_main: float | None = None,
    *,
    may_try: bool = False,
) -> Tiles | None:
    """Tiles with which a picture keeps to the room; None where it fits as a whole.

    Args:
        shape: (B, 3, H, W).
        room: bytes that may be taken where the networks run.
        in_main: bytes that may be taken in main memory; None where the networks run in it too.
        may_try: whether the smallest tiles are given where not even they seem to fit.

    Raises:
        ConfigError: not even the smallest tiles fit; says what is needed.
    """
    pixels, found = shape[0] * prod(shape[2:]), footprint(config)
    state = pixels * _state_bytes(settings, found)
    if pixels * _whole_bytes(settings, found) <= room:
        return None
    left = room - state if in_main is None else room

    def bytes_of(tiles: Tiles) -> float:
        return shape[0] * _tile_bytes(settings, found, tiles)

    least = tiles_for(config, (1, 1))
    if left < bytes_of(least) or (room if in_main is None else in_main) < state:
        if may_try:
            return least
        raise ConfigError(_too_little(settings, shape, state + bytes_of(least), room))
    most_px = left / bytes_of(least) * prod(least.most)
    tiles = tiles_for(config, sides_within(shape[2], shape[3], int(most_px), config.size_multiple))
    while bytes_of(tiles) > left and tiles.most != least.most:
        most_px *= 0.9
        tiles = tiles_for(config, sides_within(shape[2], shape[3], int(most_px), config.size_multiple))
    return tiles


def _whole_bytes(settings: Preset, found: Footprint, batch: int = 1) -> float:
    """Per pixel of a picture that is made as a whole."""
    kept = 0.0 if settings.output == "predictor" else batch * found.prepared
    return _running_bytes(settings, found, batch) + _state_bytes(settings, found, batch) + kept


def _running_bytes(settings: Preset, found: Footprint, batch: int = 1) -> float:
    """Per pixel, while networks run."""
    return found.predict if settings.output == "predictor" else max(found.predict, batch * found.step)


def _state_bytes(settings: Preset, found: Footprint, batch: int = 1) -> float:
    """Per pixel of the picture, tiles or not."""
    if settings.output == "predictor":
        return _IMAGE_BYTES * (1 if settings.ensemble == 1 else 2)
    moments = _MOMENT_IMAGES if settings.samples > 1 or settings.fidelity is not None else 0
    return batch * (_IMAGE_BYTES * _SAMPLING_IMAGES + found.features) + _IMAGE_BYTES * moments


def _tile_bytes(settings: Preset, found: Footprint, tiles: Tiles) -> float:
    """While a tile is computed; guidance sees more than the tile."""
    height, width = tiles.most
    around = 2 * (found.guidance_reach + tiles.multiple)
    seen = (height + around) * (width + around)
    # Beside the networks: what is read of the picture, and what is made of it, weighed.
    running = _running_bytes(settings, found) + 3 * _IMAGE_BYTES
    return max(running * height * width, found.guiding * seen)


def _too_little(settings: Preset, shape: tuple[int, ...], needed: float, room: float) -> str:
    part = settings.output
    remedy = "give a smaller picture, or more memory"
    if part == "diffusion":
        remedy = "take the predictor (output or --part predictor), a smaller picture, or give more memory"
    return (
        f"the {part} needs about {in_words(needed)} for {shape[3]}x{shape[2]} px besides what is held already, and "
        f"{in_words(max(0, room))} may be taken; {remedy}"
    )
