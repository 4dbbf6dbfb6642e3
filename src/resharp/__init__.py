"""resharp: image deblurring with multiscale structure guided diffusion (arXiv 2212.01789)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["DeblurPipeline", "__version__"]

if TYPE_CHECKING:
    from resharp.pipeline import DeblurPipeline


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; `import resharp` must not, so the pipeline is imported when asked for.
    if name == "DeblurPipeline":
        from resharp.pipeline import DeblurPipeline

        return DeblurPipeline
    raise AttributeError(f"module 'resharp' has no attribute {name!r}")
