"""What figures share: matplotlib without a screen, sizes and letters for print, files without dates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resharp.errors import ConfigError
from resharp.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT_INCHES = 6.875  # both columns of a conference page
LETTERS_PT = 7
DPI = 300
SUFFIXES = (".png", ".pdf")


def check_matplotlib() -> None:
    """Raise ConfigError, with the remedy, where there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError("the figure needs matplotlib; install it with: pip install 'resharp[plot]'") from error


def check_suffix(path: Path) -> None:
    """Raise ConfigError unless the file is to be a PNG or a PDF."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: a figure is a .png or .pdf file; choose another name")


def new_figure(height_inches: float) -> Figure:
    """An empty figure as wide as the text of a page, that no screen is needed for."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(TEXT_INCHES, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write it, atomically; the same figure gives the same bytes.

    Raises:
        ConfigError: the suffix is neither .png nor .pdf.
        OutputError: the file cannot be written.
    """
    check_suffix(path)
    metadata = {"CreationDate": None} if path.suffix.lower() == ".pdf" else None
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata=metadata)
