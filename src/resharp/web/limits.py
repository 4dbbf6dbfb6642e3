"""What a visitor of the page may ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resharp.errors import ConfigError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """Bounds of the service.

    max_upload_bytes: of one file.
    max_pixels: of one photo, refused from its header.
    max_photos: of one batch.
    concurrency: photos restored at the same time.
    max_waiting: jobs that wait for their turn; a further one is refused.
    timeout_s: of one photo; looked at between network calls, and compared with the estimate before starting.
    grace_s: how long files are kept after their page was closed; a phone that slept comes back within it.
    idle_s: the same without any sign that the page was closed.
    """

    max_upload_bytes: int = 50 * 10**6
    max_pixels: int = 50_000_000
    max_photos: int = 30
    concurrency: int = 1
    max_waiting: int = 8
    timeout_s: float = 900.0
    grace_s: float = 300.0
    idle_s: float = 7200.0

    def __post_init__(self) -> None:
        for name in ("max_upload_bytes", "max_pixels", "max_photos", "concurrency", "timeout_s"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"{name} is {value}; allowed: above 0")
        if self.max_waiting < 0:
            raise ConfigError(f"max_waiting is {self.max_waiting}; allowed: 0 and above")

    @property
    def max_stored_bytes(self) -> int:
        """Of all visitors' uploads together; a result is no longer than a few uploads."""
        return 40 * self.max_upload_bytes


def parse_size(text: str) -> int:
    """Bytes of "50MB", "1.5 GB", "64MiB" or "1000".

    Raises:
        ConfigError: not a size, or none above 0.
    """
    match = _SIZE.fullmatch(text)
    unit = None if match is None else _UNITS.get(match[2].upper())
    size = 0 if match is None or unit is None else int(float(match[1]) * unit)
    if size < 1:
        raise ConfigError(f"size is {text!r}; give a number with a unit, such as 50MB")
    return size
