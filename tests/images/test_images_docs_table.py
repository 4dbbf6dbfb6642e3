"""The table in docs/files.md, row by row, against files that are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resharp.errors import ImageError
from resharp.images.exif import mark_upright
from resharp.images.formats import FORMAT_BY_SUFFIX
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.receipts import read_receipt
from resharp.images.writing import write_photo
from sample_photos import SRGB, XMP, exif_of_a_camera, scene

PAGE = Path(__file__).parents[2] / "docs" / "files.md"
LINES = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
HEADING, _, *ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES]
TABLE = {row[0]: dict(zip(HEADING, row, strict=True)) for row in ROWS}
PIXELS = scene(48, 40).astype(np.float32) / 255
META = PhotoMeta(
    icc=SRGB,
    exif=mark_upright(exif_of_a_camera().tobytes()),
    dpi=(300, 300),
    xmp=XMP,
    iptc=b"\x1c\x02\x05\x00\x07A title",
    texts=(("Comment", "hello"), ("Title", "A title")),
)


def said(yes: bool) -> str:
    return "yes" if yes else "no"


def test_every_format_and_suffix_has_its_row():
    written = {name: set(row["suffixes"].split()) for name, row in TABLE.items()}
    known: dict[str, set[str]] = {}
    for suffix, format in FORMAT_BY_SUFFIX.items():
        known.setdefault({"WEBP": "WebP", "HEIF": "HEIC"}.get(format, format), set()).add(suffix)
    assert written == known


@pytest.mark.parametrize("name", TABLE)
def test_the_row_is_what_happens(tmp_path, name):
    pytest.importorskip("pillow_heif")
    row = TABLE[name]
    path = tmp_path / f"a{row['suffixes'].split()[0]}"
    write_photo(Photo(PIXELS, meta=META), path, receipt_for=lambda samples: "{}")
    back = read_photo(path)
    texts = {0: "no", 1: "comment", 2: "yes"}[len(back.meta.texts)]
    found = {
        "colours": "exact" if np.array_equal(np.rint(back.pixels * 255), np.rint(PIXELS * 255)) else "lossy",
        "profile": said(back.meta.icc == SRGB),
        "EXIF": said(back.meta.exif is not None),
        "XMP": said(back.meta.xmp is not None),
        "IPTC": said(back.meta.iptc is not None),
        "texts": texts,
        "dpi": said(back.meta.dpi is not None),
        "receipt": said(read_receipt(path) == "{}"),
    }

    write_photo(Photo(PIXELS, meta=PhotoMeta(bit_depth=16)), path)
    found["bits"] = "8, 16" if read_photo(path).meta.bit_depth == 16 else "8"
    write_photo(Photo(np.repeat(PIXELS[:, :, :1], 3, axis=2), meta=PhotoMeta(kind="gray")), path)
    with Image.open(path) as image:
        found["gray"] = said(image.mode == "L")
    try:
        write_photo(Photo(PIXELS, PIXELS[:, :, 0]), path)
        found["transparency"] = said(read_photo(path).alpha is not None)
    except ImageError:
        found["transparency"] = "no"
    assert found == {key: row[key] for key in found}
    assert set(HEADING) == {"format", "suffixes", *found}
