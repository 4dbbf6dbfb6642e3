"""The site builds without a warning, needs nothing from elsewhere, and its API page is made from the docstrings."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import api_pages  # noqa: E402
import site_hooks  # noqa: E402

NAMES = api_pages.DIRECTIVE.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("mkdocs")
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return out


def test_every_page_is_there(site):
    """--strict makes a page that the navigation lacks, a broken link and a missing anchor errors."""
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}
    assert (site / "gallery" / "real.jpg").is_file()


def test_no_page_loads_anything_from_elsewhere(site):
    for path in site.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]* src=\"?([^\"\s>]+)", text)
        loaded += re.findall(r"<link[^>]* rel=\"?(?:stylesheet|preconnect|icon)\"?[^>]* href=\"?([^\"\s>]+)", text)
        assert not [each for each in loaded if re.match(r"(https?:)?//", each)], path.name


def test_the_search_knows_the_api(site):
    assert "DeblurPipeline" in (site / "search" / "search_index.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_api_page_names_what_can_be_imported(name):
    module, _, short = name.rpartition(".")
    assert hasattr(importlib.import_module(module), short)
    text = api_pages.documentation(name)
    assert text.startswith(f"### {short}\n")
    assert "\n    Args:" not in text


def test_docstrings_become_markdown():
    text = api_pages.documentation("resharp.metrics.full_reference.psnr")
    assert "psnr(restored: Tensor, sharp: Tensor) -> Tensor" in text
    assert "- `restored, sharp`: (B, 3, H, W), [0, 1]; both are rounded to 8 bits first." in text
    assert "**Returns:** (B,) float64" in text
    # An entry that goes on in the next line stays one entry.
    text = api_pages.documentation("resharp.pipeline.DeblurPipeline")
    assert re.search(r"^- `source`: a folder .* or None for .default.", text, re.MULTILINE)
    with pytest.raises(LookupError, match="does not define"):
        api_pages.documentation("resharp.hub.nothing")


def test_links_out_of_the_pages():
    text = "[a](../src/a.py#L3) [b](b.md) ![c](../c.png)"
    assert site_hooks.linked(text, "") == "a [b](b.md) ![c](../c.png)"
    assert "[a](https://example.org/x/blob/main/src/a.py#L3)" in site_hooks.linked(text, "https://example.org/x/")


def test_the_gallery_shows_the_figures_that_were_measured():
    figures = json.loads((ROOT / "docs" / "gallery" / "figures.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    for name, found in figures.items():
        assert (ROOT / "docs" / "gallery" / f"{name}.jpg").is_file()
        assert f"(gallery/{name}.jpg)" in page
        cells = []
        for each in ("blurry", "default", "one-step"):
            psnr = found[each]["psnr"]
            cells.append(f"{'equal' if psnr is None else f'{psnr:.2f}'}, {found[each]['ssim']:.4f}")
        assert f"| {name} | {' | '.join(cells)} |" in page
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "gallery").iterdir()) < 1_500_000
