"""Sharp photos in one file of limited size, for a machine that gets one folder: a tar with a manifest."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from resharp.data.decoding import decode_photo
from resharp.errors import DataError, ImageError, OutputError
from resharp.files import atomic_path
from resharp.images.headers import upright_size
from resharp.images.reading import find_photos

MANIFEST, FORMAT = "manifest.json", 1
PHOTOS, HELD_OUT = "photos", "held_out"
# Longer sides to try, one after the other, until all photos fit. A crop of 128 px with its margins wants 256.
SIDES_PX = (2048, 1536, 1280, 1024, 896, 768, 640, 512, 448, 384)
SHORTEST_PX = 256
JPEG_QUALITY = 92
_BLOCK, _RECORD = 512, 10240
_NAME = re.compile(r"\d{6}\.[a-z0-9]+")

Report = Callable[[str], None]


def pack(places: Sequence[str], out: Path, max_mib: float, index: Path | None = None, report: Report = print) -> dict:
    """Write `out`, a tar of photos and their manifest. The same photos give the same bytes.

    Files stay as they are where all of them fit. Else all become JPEG, at the greatest of `SIDES_PX` that fits;
    smaller photos are not enlarged, and a shorter side is not made less than 256 px.

    Args:
        places: files and folders with sharp photos.
        max_mib: the file's limit, in MiB.
        index: a CSV with a column "file" or "name"; a photo's other columns (source, licence) go into the manifest.

    Returns:
        The manifest.

    Raises:
        DataError: no photo, an index that cannot be used, or too many photos for the limit.
        OutputError: `out` cannot be written.
    """
    limit = int(max_mib * 2**20)
    rows = {} if index is None else _read_index(index)
    paths, left_out = _distinct(find_photos(places))
    if not paths:
        raise DataError(f"{', '.join(map(str, places))}: no photo to pack (left out: {left_out[:1] or 'none'})")
    for side_px in (None, *_sides(paths)):
        files = _fitting(paths, side_px, limit, left_out)
        if files is None:
            report(f"{'as they are' if side_px is None else f'at {side_px} px'}: more than {max_mib:g} MiB")
            continue
        manifest = _manifest(files, rows, side_px, left_out)
        if _write(out, manifest, files, limit):
            return manifest
    raise DataError(
        f"{len(paths)} photos do not fit into {max_mib:g} MiB, even at {SIDES_PX[-1]} px; give fewer, or raise it"
    )


def _sides(paths: Sequence[Path]) -> list[int]:
    """`SIDES_PX`, without those that would leave all photos as large as the next one does."""
    longest = 0
    for path in paths:
        with suppress(ImageError):  # said when it is read
            longest = max(longest, *upright_size(path))
    larger = [side for side in SIDES_PX if side >= longest]
    return [*larger[-1:], *(side for side in SIDES_PX if side < longest)]


def _distinct(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Photos in the order of their names, each content once; a line for each that is left out."""
    seen: dict[str, Path] = {}
    left_out = []
    for path in sorted(paths, key=lambda path: path.as_posix()):
        digest = _sha256(path.read_bytes())
        if digest in seen:
            left_out.append(f"{path.name}: the same as {seen[digest].name}")
        else:
            seen[digest] = path
    return list(seen.values()), left_out


def _fitting(paths: Sequence[Path], side_px: int | None, limit: int, left_out: list[str]) -> list[dict] | None:
    """What the tar will hold, or None as soon as it would pass the limit. Unreadable photos go to `left_out`."""
    files: list[dict] = []
    size = 0
    for path in paths:
        data = path.read_bytes()
        try:
            pixels = decode_photo(data, path.name).permute(1, 2, 0).numpy()
        except ImageError as error:
            if str(error) not in left_out:
                left_out.append(str(error))
            continue
        stored = data if side_px is None else _jpeg(pixels, side_px)
        suffix = path.suffix.lower() if side_px is None else ".jpg"
        name = f"{len(files):06d}{suffix}"
        files.append({"path": path, "name": name, "original_sha256": _sha256(data), "data": stored})
        size += _BLOCK + -(-len(stored) // _BLOCK) * _BLOCK
        if size > limit:
            return None
    if not files:
        raise DataError(f"no photo can be read (first of {len(left_out)}: {left_out[0]})")
    return files


def _jpeg(pixels: np.ndarray, side_px: int) -> bytes:
    """(H, W, 3) uint8 as JPEG, its longer side at most `side_px` unless the shorter one would get too short."""
    height, width = pixels.shape[:2]
    factor = min(1.0, max(side_px / max(height, width), SHORTEST_PX / min(height, width)))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if factor < 1:
        image = image.resize((round(width * factor), round(height * factor)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _manifest(files: list[dict], rows: dict[str, dict], side_px: int | None, left_out: list[str]) -> dict[str, Any]:
    encoding = "as it was" if side_px is None else f"JPEG {JPEG_QUALITY}, longer side at most {side_px} px"
    photos = []
    for file in files:
        about = {"name": file["name"], "original": file["path"].name, "sha256": _sha256(file["data"])}
        about["original_sha256"] = file["original_sha256"]
        row = rows.get(file["path"].name)
        photos.append(about | ({} if row is None else {"index": row}))
    return {"format": FORMAT, "encoding": encoding, "photos": photos, "left_out": sorted(left_out)}


def _write(out: Path, manifest: dict[str, Any], files: list[dict], limit: int) -> bool:
    """Write the tar; False, and nothing written, where it would pass the limit."""
    members = [(MANIFEST, (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())]
    members += [(f"{PHOTOS}/{file['name']}", file["data"]) for file in files]
    blocks = sum(1 + -(-len(data) // _BLOCK) for _, data in members) + 2
    if -(-blocks * _BLOCK // _RECORD) * _RECORD > limit:
        return False
    with atomic_path(out) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return True


def unpack(packed: Path, folder: Path) -> dict[str, Any]:
    """Lay out a packed file as `folder`/photos to train on and `folder`/held_out; nothing to do if it is there.

    Every tenth photo or so is held out: at least two, at most 16, evenly spaced.

    Returns:
        The manifest.

    Raises:
        DataError: no packed file, a damaged one, or fewer than four photos in it.
        OutputError: the folder cannot be written.
    """
    manifest, contents = _read(packed)
    there = folder / MANIFEST
    if there.is_file() and json.loads(there.read_text(encoding="utf-8")) == manifest:
        return manifest
    names = [photo["name"] for photo in manifest["photos"]]
    if len(names) < 4:
        raise DataError(f"{packed}: {len(names)} photos; at least 4 are needed, since some are held out")
    count = max(2, min(16, len(names) // 10))
    held = {names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count)}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".unpacked-", dir=folder.parent))
        for name, data in contents:
            place = temporary / (HELD_OUT if name in held else PHOTOS)
            place.mkdir(exist_ok=True)
            (place / name).write_bytes(data)
        (temporary / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot unpack here ({error.strerror or error}); choose another place") from error
    return manifest


def _read(packed: Path) -> tuple[dict[str, Any], Iterator[tuple[str, bytes]]]:
    """The manifest, and the photos with their checksums verified."""
    try:
        archive = tarfile.open(packed, "r:")  # noqa: SIM115 - closed with the last photo
        manifest = json.loads(archive.extractfile(MANIFEST).read())
        photos = [(photo["name"], photo["sha256"]) for photo in manifest["photos"]]
        if manifest["format"] != FORMAT or not all(_NAME.fullmatch(name) for name, _ in photos):
            raise ValueError("another format")
    except (OSError, tarfile.TarError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{packed}: not a file made by `pack` ({error}); pack the photos again") from error

    def contents() -> Iterator[tuple[str, bytes]]:
        with archive:
            for name, digest in photos:
                try:
                    data = archive.extractfile(f"{PHOTOS}/{name}").read()
                except (OSError, tarfile.TarError, KeyError, AttributeError) as error:
                    raise DataError(f"{packed}: {name} cannot be read ({error}); pack the photos again") from error
                if _sha256(data) != digest:
                    raise DataError(f"{packed}: {name} is damaged; copy the file again")
                yield name, data

    return manifest, contents()


def _read_index(path: Path) -> dict[str, dict[str, str]]:
    """Rows by file name, without its folder."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot read this index ({error}); give a CSV file") from error
    key = next((name for name in ("file", "name") if rows and name in rows[0]), None)
    if key is None:
        raise DataError(f"{path}: no column 'file' or 'name', or no rows; give one that names the photos")
    return {Path(row[key]).name: {name: value for name, value in row.items() if name != key} for row in rows}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
