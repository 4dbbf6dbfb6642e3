"""Parquet files of photos: one row group in, one file with the restored photos out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

from resharp.data.remote import is_url, shown
from resharp.engines import stores
from resharp.errors import ConfigError, ImageError
from resharp.images.formats import FORMAT_BY_SUFFIX

if TYPE_CHECKING:
    import pyarrow

    from resharp.engines.tasks import Columns

ERROR = "resharp_error"
_SIGNATURES = ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"RIFF", ".webp"), (b"BM", ".bmp"))


def count_groups(place: str, columns: Columns) -> int:
    """How many row groups the file at a path or URL has.

    Raises:
        ImageError: it is not there, no Parquet, or has not these columns.
        ConfigError: pyarrow is missing.
    """
    with _opened(place) as file:
        _check(file.schema_arrow, place, columns)
        return int(file.metadata.num_row_groups)


def read_group(place: str, group: int) -> pyarrow.Table:
    """All columns of one row group.

    Raises:
        ImageError: it cannot be read.
    """
    with _opened(place) as file:
        return file.read_row_group(group)


def photos_in(table: pyarrow.Table, columns: Columns) -> list[tuple[str, bytes | None]]:
    """Name and encoded photo of every row; a row without a name is called by its number, one without bytes has None."""
    images = table.column(columns.image).to_pylist()
    has_names = columns.name in table.column_names
    names = table.column(columns.name).to_pylist() if has_names else [None] * len(images)
    found = []
    for row, (name, image) in enumerate(zip(names, images, strict=True)):
        if isinstance(image, dict):
            name, image = name or image.get("path"), image.get("bytes")
        found.append((str(name or f"row-{row:06}"), image))
    return found


def file_name(name: str, data: bytes) -> str:
    """A name fit for a file, with the suffix of a photo: that of the name, or what the bytes look like."""
    plain = re.split(r"[/\\]", name)[-1].replace("\0", "").lstrip(".")[-200:] or "photo"
    if Path(plain).suffix.lower() in FORMAT_BY_SUFFIX:
        return plain
    return plain + next((suffix for signature, suffix in _SIGNATURES if data.startswith(signature)), ".tif")


def write_results(
    table: pyarrow.Table, columns: Columns, photos: list[bytes | None], errors: list[str | None], path: Path
) -> None:
    """The table with `photos` in place of its own, null where there is an error, which stands in a further column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    at = table.column_names.index(columns.image)
    field = table.schema.field(at)
    if pa.types.is_struct(field.type):
        paths = [None if image is None else image.get("path") for image in table.column(at).to_pylist()]
        made: list[Any] = [{"bytes": data, "path": each} for data, each in zip(photos, paths, strict=True)]
    else:
        made = list(photos)
    out = table.set_column(at, field.with_nullable(True), pa.array(made, field.type))
    if ERROR in out.column_names:
        out = out.drop_columns([ERROR])
    out = out.append_column(ERROR, pa.array(errors, pa.string()))
    # One row group whatever its size: rows hold photos, and a reader takes a group at once.
    pq.write_table(out.replace_schema_metadata(table.schema.metadata), path, row_group_size=max(1, len(out)))


def _check(schema: pyarrow.Schema, place: str, columns: Columns) -> None:
    import pyarrow as pa

    if columns.image not in schema.names:
        raise ImageError(
            f"{shown(place)}: has no column {columns.image!r}; it has {', '.join(schema.names)[:200]}; "
            "name the one with encoded photos by --image-column"
        )
    kind = schema.field(columns.image).type
    if pa.types.is_struct(kind):
        names = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        kind = names["bytes"] if set(names) == {"bytes", "path"} else pa.null()
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise ImageError(f"{shown(place)}: column {columns.image!r} does not hold encoded photos, as bytes")


def _pyarrow() -> ModuleType:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow; install it with: pip install 'resharp[ray]'") from error
    return pyarrow.parquet


@contextmanager
def _opened(place: str) -> Iterator[Any]:
    parquet = _pyarrow()
    try:
        with _stream(place) as stream, parquet.ParquetFile(stream) as file:
            yield file
    except (ImageError, ConfigError):
        raise
    except Exception as error:  # those of file systems and of pyarrow
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ImageError(f"{shown(place)}: cannot be read as Parquet ({reason})") from error


def _stream(place: str) -> IO[bytes]:
    return stores.opened(place) if is_url(place) else open(place, "rb")
