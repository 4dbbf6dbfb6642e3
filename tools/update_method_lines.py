"""Puts right what docs/method.md says about the code: line numbers, and the sizes of the networks.

    python tools/update_method_lines.py

A line number stands in a link such as [models/unet.py:56](../src/resharp/models/unet.py#L56) `UNet`. The name after
the link decides: a function, class, argument or variable, dotted when it is inside another. tests/test_docs.py uses
the same functions to check the document.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "resharp"
DOCUMENT = ROOT / "docs" / "method.md"
LINK = re.compile(r"\[(?P<path>[\w/]+\.py):(?P<shown>\d+)\]\(\.\./src/resharp/(?P<target>[\w/]+\.py)#L(?P<line>\d+)\)")
REFERENCE = re.compile(LINK.pattern + r" `(?P<name>[\w.]+)`")
SIZE_ROW = re.compile(r"^\| `(?P<size>[\w-]+)` \|(?: [\d.,-]+ \|){10}$", re.MULTILINE)


class Reference(NamedTuple):
    """One link: the text shown, the file and line it leads to, and the name that should be there."""

    path: str
    shown: int
    target: str
    line: int
    name: str


def references(text: str) -> list[Reference]:
    """All links with a name after them."""
    found = REFERENCE.finditer(text)
    return [Reference(m["path"], int(m["shown"]), m["target"], int(m["line"]), m["name"]) for m in found]


def line_of(source: str, name: str) -> int | None:
    """The line on which the dotted `name` is defined, or None."""
    scope: ast.AST = ast.parse(source)
    for part in name.split("."):
        found = next((node for node in _inside(scope) if part in _names(node)), None)
        if found is None:
            return None
        scope = found
    return scope.lineno  # type: ignore[attr-defined]


def _inside(scope: ast.AST):
    """What a scope contains, in the order of the text; arguments come first."""
    return sorted((node for node in ast.walk(scope) if hasattr(node, "lineno") and node is not scope), key=_place)


def _place(node: ast.AST) -> tuple[int, int]:
    return node.lineno, node.col_offset  # type: ignore[attr-defined]


def _names(node: ast.AST) -> set[str]:
    """What a node defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
        return {node.id if isinstance(node, ast.Name) else node.attr}
    return set()


def size_row(name: str) -> str:
    """A row of the table of sizes: parameters in millions, cost in billions of multiply-adds (GMAC)."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from resharp.models.icdpm import ICDPM
    from resharp.models.sizes import size

    def giga_mac(work) -> tuple[float, object]:
        with FlopCounterMode(display=False) as counter:
            result = work()
        return counter.get_total_flops() / 2e9, result

    # Tensors on the meta device have shapes and no values: nothing is computed.
    with torch.device("meta"):
        model = ICDPM(size(name))
    parts = (model.guidance, model.predictor, model.denoiser)
    numbers = [0 if part is None else sum(p.numel() for p in part.parameters()) / 1e6 for part in parts]
    numbers.append(model.parameter_count() / 1e6)
    cells = [f"{number:.3f}" if number else "-" for number in numbers]
    for height, width in ((256, 256), (720, 1280)):
        y, alpha_bar = torch.empty(1, 3, height, width, device="meta"), torch.empty(1, device="meta")
        guidance, h = giga_mac(lambda y=y: model.guide(y))
        predictor, g = (0, None) if model.predictor is None else giga_mac(lambda y=y, h=h: model.predict(y, h))
        step, _ = giga_mac(lambda y=y, a=alpha_bar, h=h, g=g: model(y, y, a, h, g))
        cells += [f"{cost:,.1f}" if cost else "-" for cost in (guidance, predictor, step)]
    return f"| `{name}` | " + " | ".join(cells) + " |"


def updated(text: str) -> str:
    """The document with every line number and every row of the table of sizes as the code has them.

    Raises:
        SystemExit: a link leads to a file or a name that does not exist any more.
    """

    def relinked(match: re.Match[str]) -> str:
        path, name = match["target"], match["name"]
        file = SOURCE / path
        line = line_of(file.read_text(encoding="utf-8"), name) if file.is_file() else None
        if line is None:
            raise SystemExit(f"{DOCUMENT.name}: there is no {name} in src/resharp/{path}; correct the link by hand")
        return f"[{path}:{line}](../src/resharp/{path}#L{line}) `{name}`"

    return SIZE_ROW.sub(lambda match: size_row(match["size"]), REFERENCE.sub(relinked, text))


def main() -> None:
    old = DOCUMENT.read_text(encoding="utf-8")
    new = updated(old)
    changed = sum(a != b for a, b in zip(old.splitlines(), new.splitlines(), strict=True))
    DOCUMENT.write_text(new, encoding="utf-8")
    print(f"{DOCUMENT}: {changed} lines changed")


if __name__ == "__main__":
    main()
