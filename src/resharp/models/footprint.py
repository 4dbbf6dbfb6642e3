"""What a network needs for each pixel: bytes while it runs, and how far it looks; from its configuration alone."""

from __future__ import annotations

from dataclasses import dataclass

from resharp.models.config import GuidanceConfig, ModelConfig, UNetConfig, guidance_levels

_FLOAT_BYTES = 4
# What convolution libraries take for copies in their own layouts, over what the tensors themselves hold: 1.2 to 1.73
# measured on a CPU over the named sizes (docs/speed.md).
WORKSPACE = 1.75
EVERYWHERE = 10**9


@dataclass(frozen=True)
class Footprint:
    """Of one picture in float32.

    predict: bytes per pixel while guidance and predictor run; 0 without a predictor.
    step: bytes per pixel while guidance and one call of the denoiser run; 0 without a denoiser.
    guiding: bytes per pixel while guidance runs; 0 without it.
    features: bytes per pixel of all h_k, which are kept from step to step.
    prepared: bytes per pixel of what the denoiser makes of y, h and g alone, kept from step to step without tiles.
    guidance_reach, predict_reach, step_reach: beyond this many px from a pixel nothing changes h_k there, g(y)
        given y and h, the denoiser's answer given its inputs. Upper bounds.
    """

    predict: float
    step: float
    guiding: float
    features: float
    prepared: float
    guidance_reach: int
    predict_reach: int
    step_reach: int


def footprint(config: ModelConfig) -> Footprint:
    """The footprint of a model."""
    guidance, patch = config.guidance, config.patch_size
    features, guiding, guidance_reach = (0.0, 0.0, 0) if guidance is None else _guidance(guidance)
    images = 1 if config.predictor is None else 2  # y, and g
    held = 3 * _FLOAT_BYTES * images + features

    def of(unet: UNetConfig | None, channels_in: int) -> tuple[float, int]:
        if unet is None:
            return 0.0, 0
        inside = _unet_bytes(unet, channels_in, guidance, patch)
        return WORKSPACE * max(held + guiding, held + inside), _unet_reach(unet, patch)

    predict, predict_reach = of(config.predictor, 3)
    step, step_reach = of(config.denoiser, 3 + 3 * images)
    prepared = 0.0 if config.denoiser is None else _prepared_bytes(config.denoiser, images, guidance, patch)
    reaches = (guidance_reach, predict_reach, step_reach)
    return Footprint(predict, step, WORKSPACE * guiding, features, prepared, *reaches)


def _guidance(config: GuidanceConfig) -> tuple[float, float, int]:
    """Bytes per pixel of all h_k and while H runs at the finest scale, and the reach in px at the coarsest."""
    features = sum(config.features * _FLOAT_BYTES / 4**k for k in config.scales)
    finest = min(config.scales)
    running = _FLOAT_BYTES * (3 + 5 * max(config.width, config.features) / 4**finest)
    # A stem and two convolutions a block; what is read lies within whole cells of the coarsest scale.
    cells = 2 + 2 * config.blocks + ("edges" in config.color)
    return features, running, cells * 2 ** max(config.scales)


def _unet_bytes(config: UNetConfig, channels_in: int, guidance: GuidanceConfig | None, patch: int) -> float:
    """The most that a UNet's tensors hold at once, bytes per pixel of the picture, by following its forward pass."""
    widths, transformer = config.widths, config.transformer
    arriving = dict.fromkeys(guidance_levels(guidance, patch).values(), True)

    def bytes_of(width: int, level: int) -> float:
        return width * _FLOAT_BYTES / (patch**2 * 4**level)

    def block(width_in: int, width_out: int, before: int, after: int, guided: bool = False) -> float:
        """Beside its input: its activations, and two or three tensors of its own width."""
        into, out = bytes_of(width_in, before), bytes_of(width_out, after)
        moved = 0.0 if before == after else bytes_of(width_in, after)
        skip = 0.0 if width_in == width_out and before == after else out
        if transformer is not None and before == after:
            # Twice three times its width for queries, keys and values, or both halves of the gate, twice.
            return into + skip + out * max(7.0, 1 + 4 * transformer.expansion)
        return into + max(into + moved + out, (3 + guided) * out, 2 * out + skip)

    image = bytes_of(channels_in, 0) * patch**2
    folded = image if patch > 1 else 0.0
    held = image + bytes_of(widths[0], 0)
    peak = image + folded + bytes_of(widths[0], 0)
    for level, width in enumerate(widths):
        for _ in range(config.encoder_blocks):
            peak = max(peak, held + block(width, width, level, level, level in arriving) - bytes_of(width, level))
            held += bytes_of(width, level)
        if level + 1 < len(widths):
            peak = max(peak, held + block(width, widths[level + 1], level, level + 1) - bytes_of(width, level))
            held += bytes_of(widths[level + 1], level + 1)
    for level in reversed(range(len(widths))):
        width = widths[level]
        for _ in range(config.decoder_blocks):
            # A skip is taken off the pile and joined to what came up, which stays until the block is done.
            peak = max(peak, held + block(2 * width, width, level, level))
            held -= bytes_of(width, level)
        held += bytes_of(width, level)
        if level:
            peak = max(peak, held + block(width, widths[level - 1], level, level - 1) - bytes_of(width, level))
            held -= bytes_of(width, level)
    return peak


def _prepared_bytes(config: UNetConfig, images: int, guidance: GuidanceConfig | None, patch: int) -> float:
    """Bytes per pixel of y and g, folded, and of the projections of h."""
    levels = set(guidance_levels(guidance, patch).values())
    widths = sum(config.encoder_blocks * config.widths[level] / (patch**2 * 4**level) for level in levels)
    return _FLOAT_BYTES * (3 * images + widths)


def _unet_reach(config: UNetConfig, patch: int) -> int:
    """Two convolutions of one cell's reach in each block, at the size of its level; and the grid of the coarsest."""
    if config.transformer is not None:  # its attention looks at everything
        return EVERYWHERE
    levels = range(len(config.widths))
    reach = patch  # the head
    for level in levels:
        blocks = config.encoder_blocks + config.decoder_blocks
        blocks += (level > 0) + (level < levels[-1])  # the one that comes down to this level, and up to it
        blocks += config.middle_blocks * (level == levels[-1])
        reach += 2 * blocks * patch * 2**level
    return reach + 2 * patch * 2 ** levels[-1]
