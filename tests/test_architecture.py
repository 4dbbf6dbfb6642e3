"""Who may import whom, how long a file may be, and how fast `import resharp` is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import resharp

SOURCE = Path(resharp.__file__).parent
REPOSITORY = SOURCE.parents[1]

# Each part, and the parts it may import; itself always. Dependencies run one way: no part appears
# below before the ones it needs.
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "settings": {"errors"},
    "progress": set(),
    "tiling": set(),
    "threads": set(),
    "task": {"errors"},
    "hub": {"errors"},
    "models": {"errors"},
    "compiling": {"errors", "models"},
    "diffusion": {"errors"},
    "images": {"errors", "files"},
    "data": {"errors", "files", "images", "task"},
    "metrics": {"errors", "files"},
    "study": {"errors", "files", "settings", "images"},
    "evaluate": {"errors", "files", "images", "data", "metrics"},
    "memory": {"errors"},
    "moments": set(),
    "tile_choice": {"diffusion", "errors", "memory", "models", "tiling"},
    "tiled": {"images", "models", "tile_choice", "tiling"},
    "restoration": {"models", "diffusion", "tile_choice", "tiled", "tiling"},
    "fitting": {"diffusion", "memory", "models", "tile_choice"},
    "smaller_tiles": {"errors", "models", "tile_choice", "tiling"},
    "model_files": {"errors", "files", "settings", "models", "diffusion", "task"},
    "weights_file": {"errors", "settings", "model_files"},
    "serialization": {"errors", "files", "models", "diffusion", "task", "model_files", "weights_file"},
    "inputs": {"errors", "images"},
    "receipt": {"errors", "settings"},
    "runtime": {
        *("errors", "files", "models", "diffusion", "images", "memory", "model_files", "task"),
        *("smaller_tiles", "threads", "tile_choice", "tiling", "weights_file"),
    },
    "assessment": {"images"},
    "model_card": {"errors", "models", "diffusion", "task"},
    "publishing": {"errors", "files", "hub", "model_card", "serialization", "models", "diffusion", "task"},
    "pipeline": {
        *("errors", "hub", "images", "inputs", "progress", "restoration", "serialization", "models", "diffusion"),
        "task",
        *("model_card", "publishing"),
        *("fitting", "moments", "smaller_tiles", "tile_choice"),
    },
    "provenance": {"diffusion", "hub", "model_files", "pipeline", "receipt", "restoration", "runtime"},
    "picture": {
        *("errors", "files", "images", "receipt", "assessment", "pipeline", "provenance", "restoration", "runtime"),
        "diffusion",
    },
    "export": {
        *("errors", "models", "model_files", "pipeline", "receipt", "runtime"),
        *("data", "evaluate", "metrics"),
    },
    "engines": {
        *(
            "errors",
            "files",
            "diffusion",
            "images",
            "data",
            "receipt",
            "assessment",
            "pipeline",
            "provenance",
            "picture",
            "runtime",
        ),
    },
    "video": {
        *("errors", "files", "settings", "diffusion", "images", "data", "assessment", "pipeline", "picture"),
        *("provenance", "receipt"),
    },
    "web": {
        *("errors", "files", "models", "diffusion", "images", "assessment", "pipeline", "picture", "receipt"),
    },
    "train": {
        *("errors", "files", "settings", "models", "diffusion", "images", "data", "metrics", "evaluate"),
        *("restoration", "serialization", "task"),
    },
    "adapt": {
        *("errors", "models", "diffusion", "images", "data", "metrics", "evaluate", "assessment", "pipeline", "train"),
    },
    "bench": {
        *("errors", "models", "diffusion", "images", "data", "evaluate", "hub", "picture", "pipeline"),
        *("compiling", "restoration", "runtime", "serialization", "train"),
    },
    "analysis": {
        *("assessment", "bench"),
        *("errors", "files", "settings", "models", "diffusion", "images", "data", "metrics", "evaluate"),
        *("moments", "restoration", "serialization", "pipeline", "train"),
    },
}
LEAVES = {"cli", "__main__", "__init__"}  # may import anything, and nothing imports them


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "resharp":
                names = [f"resharp.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("resharp.")}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = sorted(path for path in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_dependencies_run_one_way(path):
    part = part_of(path)
    found = imports(path) - {part, "__version__"}
    assert not found & LEAVES or part in LEAVES
    if part not in LEAVES:
        assert part in ALLOWED, f"{part} is new: say in ALLOWED what it may import"
        assert found <= ALLOWED[part]


def test_the_table_itself_has_no_cycle():
    order = list(ALLOWED)
    for part, needs in ALLOWED.items():
        for need in needs:
            assert order.index(need) < order.index(part), f"{part} stands before {need}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 260
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            code_from = node.body[min(1, len(node.body) - 1)].lineno if documented else node.lineno
            assert node.end_lineno - code_from <= 55, f"{node.name} is too long"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_package_does_not_import_torch():
    """What takes seconds is torch; without it `import resharp` is far below its allowed second."""
    code = "import resharp, sys; print([m for m in ('torch', 'diffusers', 'PIL', 'numpy') if m in sys.modules])"
    assert run(code) == "[]"


def test_importing_the_package_takes_less_than_a_second():
    code = "import time; t = time.process_time(); import resharp; print(time.process_time() - t)"
    assert float(run(code)) < 1.0


def test_version_is_the_same_everywhere():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{resharp.__version__}"\n' in text
    citation = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {resharp.__version__}\n" in citation
