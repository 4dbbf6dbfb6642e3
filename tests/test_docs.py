"""The documentation against the code: links to lines, sizes, settings, commands and snippets."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import typer

from resharp.cli.main import app
from resharp.data.blur_config import BlurConfig
from resharp.data.compression import CompressionConfig
from resharp.data.inpainting import InpaintingConfig
from resharp.data.noise import NoiseConfig
from resharp.data.super_resolution import SuperResolutionConfig
from resharp.diffusion.schedule import NoiseSchedule
from resharp.models.config import GuidanceConfig, ModelConfig, TransformerConfig, UNetConfig
from resharp.models.sizes import SIZES
from resharp.train.config import TrainConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*.md"))]
DOCUMENTS += [*sorted(ROOT.glob("integrations/**/*.md")), *sorted(ROOT.glob("src/resharp/weights/*/README.md"))]
METHOD, TRAINING = ROOT / "docs" / "method.md", ROOT / "docs" / "training.md"
HINT = "run: python tools/update_method_lines.py"
SYMBOLS = ["x_0", "x", "y", "x_t", "eps", "alpha_bar", "t", "phi_k", "k", "sigma_k", "H", "h_k", "R", "icDPM"]
SYMBOLS += ["Guided ResBlock", "L", "Ours-SA", "g (DvSR)"]
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def load_tool():
    spec = importlib.util.spec_from_file_location("update_method_lines", ROOT / "tools" / "update_method_lines.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tool = load_tool()


def blocks(path: Path, languages: set[str]) -> list[str]:
    """The fenced blocks of a document in one of these languages."""
    found = FENCE.findall(path.read_text(encoding="utf-8"))
    return [textwrap.dedent(code) for _, language, code in found if language in languages]


def rows(text: str) -> list[list[str]]:
    """The rows of all tables of a text, as cells."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


# docs/method.md


@pytest.mark.parametrize("reference", tool.references(METHOD.read_text(encoding="utf-8")), ids=str)
def test_lines_in_the_method_are_where_the_names_are(reference):
    path, shown, target, line, name = reference
    assert (path, shown) == (target, line), f"the link {path}:{shown} leads to {target}#L{line}; {HINT}"
    file = tool.SOURCE / path
    assert file.is_file(), f"src/resharp/{path} is no more"
    actual = tool.line_of(file.read_text(encoding="utf-8"), name)
    assert actual is not None, f"src/resharp/{path} has no {name} any more"
    assert line == actual, f"{name} is at {path}:{actual} now, not {line}; {HINT}"


def test_every_symbol_of_the_method_has_a_line():
    table = METHOD.read_text(encoding="utf-8").split("## Symbols")[1].split("\n## ")[0]
    linked = {name for first, *_, where in rows(table) if tool.references(where) for name in first.split(", ")}
    assert linked >= set(SYMBOLS)
    assert len(tool.LINK.findall(table)) == len(tool.references(table)), "a link without a name after it"


@pytest.mark.parametrize("name", SIZES)
def test_table_of_sizes_is_right(name):
    row = tool.size_row(name)
    assert row in METHOD.read_text(encoding="utf-8").splitlines(), f"should be: {row}; {HINT}"


@pytest.mark.parametrize(
    ("name", "line"),
    [("f", 1), ("f.a", 1), ("f.b", 2), ("C.x", 4), ("C.m.self", 5), ("C.y", 6), ("f.c", None), ("g", None)],
)
def test_names_are_found_where_they_are_defined(name, line):
    source = "def f(a):\n    b = a\nclass C:\n    x: int = 1\n    def m(self):\n        self.y = self.x\n"
    assert tool.line_of(source, name) == line


def test_the_tool_moves_lines_and_nothing_else():
    text = METHOD.read_text(encoding="utf-8")
    moved = re.sub(r":\d+\](\([^)]*#L)\d+", r":1]\g<1>1", text)
    assert moved != text
    assert tool.updated(moved) == text, HINT


# docs/training.md

TABLES = {
    "Top level": TrainConfig,
    "`[schedule]`": NoiseSchedule,
    "`[model]`": ModelConfig,
    "`[model.guidance]`": GuidanceConfig,
    "`[model.denoiser]` and `[model.predictor]`": UNetConfig,
    "`[model.denoiser.transformer]` and `[model.predictor.transformer]`": TransformerConfig,
    "`[blur]`": BlurConfig,
    "`[super_resolution]`": SuperResolutionConfig,
    "`[noise]`": NoiseConfig,
    "`[jpeg]`": CompressionConfig,
    "`[inpainting]`": InpaintingConfig,
}


@pytest.mark.parametrize("title", TABLES)
def test_tables_of_settings_are_complete_and_right(title):
    section = TRAINING.read_text(encoding="utf-8").split(f"\n### {title}\n")[1].split("\n## ")[0].split("\n### ")[0]
    documented = {key.strip("`"): default.strip("`") for key, default, _ in rows(section)[2:]}
    fields = {field.name: field for field in dataclasses.fields(TABLES[title])}
    assert list(documented) == list(fields)
    for key, default in documented.items():
        if default == "-":
            actual = fields[key].default
            assert actual is None or actual is dataclasses.MISSING, f"{key}: the default is {actual!r}"
            continue
        value = tomllib.loads(f"value = {default}")["value"]
        value = tuple(value) if isinstance(value, list) else value
        assert value == fields[key].default, f"{key}: the default is {fields[key].default!r}"


# All documents


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_in_documents_compiles(path):
    for code in blocks(path, {"python", "py"}):
        compile(code, str(path), "exec")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:|#", target):
            assert (path.parent / target.split("#")[0]).exists(), target


def command_lines(path: Path) -> list[str]:
    """Every call of `resharp` in shell blocks and code spans, without what follows a pipe or a comment."""
    text = path.read_text(encoding="utf-8")
    fenced = "\n".join(blocks(path, {"", "bash", "sh", "shell", "console"})).replace("\\\n", " ").splitlines()
    outside = FENCE.sub("", text).replace("\\\n", " ")
    fenced += re.findall(r"^ {4,}(\S.*)$", outside, re.MULTILINE)  # indented blocks
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", outside)
    lines = [line.strip().removeprefix("$ ") for line in fenced] + [span.replace("\\|", "|") for span in spans]
    lines = [re.split(r"\s(?:#|\||&&|;|>)(?:\s|$)", line)[0] for line in lines]
    return [line for line in lines if re.match(r"(\S*/)?resharp\s+[a-z-]", line)]


def mistakes(line: str) -> str | None:
    """What is wrong with a call of the program, or None. Brackets and dots of a synopsis are looked through."""
    program = typer.main.get_command(app)
    words = [word.strip("[]").removesuffix("...") for word in shlex.split(line)[1:]]
    command, words = program, list(words)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
    unknown = [word for word in words if word.startswith("-") and word.split("=")[0] not in options | {"--help", "-"}]
    return f"{command.name} has no {unknown[0]}" if unknown else None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_documents_exist(path):
    for line in command_lines(path):
        assert mistakes(line) is None, f"{line}: {mistakes(line)}"


def shell_words(path: Path) -> list[list[str]]:
    """The words of every line of shell blocks and code spans, whatever it calls."""
    text = path.read_text(encoding="utf-8")
    fenced = "\n".join(blocks(path, {"", "bash", "sh", "shell", "console"})).replace("\\\n", " ").splitlines()
    outside = FENCE.sub("", text).replace("\\\n", " ")
    indented = re.findall(r"^ {4,}(\S.*)$", outside, re.MULTILINE)
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", outside)
    lines = [re.split(r"\s(?:#|\||&&|;|>)(?:\s|$)", line)[0] for line in fenced + indented + spans]
    return [line.strip().removeprefix("$ ").split() for line in lines if line.strip()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_targets_scripts_and_extras_in_documents_exist(path):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for words in shell_words(path):
        if words[0] == "make" and len(words) > 1 and "=" not in words[1]:
            assert words[1] in targets, f"no target: {' '.join(words)}"
        script = next((word for word in words if re.fullmatch(r"(tools|examples|integrations)/\S+\.py", word)), None)
        if script is not None:
            source = (ROOT / script).read_text(encoding="utf-8")
            source += "".join(part.read_text(encoding="utf-8") for part in (ROOT / "tools").glob("accelerator_*.py"))
            for word in words[words.index(script) :]:
                option = word.strip("[]").split("=")[0]
                assert not option.startswith("--") or f'"{option}"' in source, f"{script} has no {option}"
    for names in re.findall(r"resharp\[([\w,]+)\]", path.read_text(encoding="utf-8")):
        assert set(names.split(",")) <= extras.keys() | {"NAME"}, names


def test_commands_are_found_and_their_mistakes_too(tmp_path):
    path = tmp_path / "a.md"
    block = "$ .venv/bin/resharp train a.toml \\\n  --dta b  # --no\nls --no"
    path.write_text(f"`resharp info`\n```bash\n{block}\n```\n`resharp`\n\n    resharp gate a \\\n        --bad 1\n")
    lines = command_lines(path)
    assert [mistakes(line) for line in lines] == ["train has no --dta", "gate has no --bad", None]
    assert mistakes("resharp sharpen a.jpg") == "no command 'sharpen'"
    assert mistakes("resharp deblur INPUT... [-o OUT] [--steps N] [--overwrite]") is None
    assert mistakes("resharp --version") is None
    assert mistakes("resharp data sharpen a.jpg") == "no command 'sharpen'"
    assert mistakes("resharp data check a --sharpen") == "check has no --sharpen"
    assert mistakes("resharp data check PATH") is None


# examples/minimal.py


def run_minimal(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "examples" / "minimal.py", *words]
    # One thread: tests run side by side.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)


def test_minimal_example_is_short_and_runs(tmp_path):
    assert len((ROOT / "examples" / "minimal.py").read_text(encoding="utf-8").splitlines()) < 100
    ran = run_minimal(ROOT / "examples" / "sharp.jpg", "--steps", 2, "--out", tmp_path / "sheet.jpg")
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"PSNR [\d.]+ dB blurry, [\d.]+ dB restored", ran.stdout)
    assert (tmp_path / "sheet.jpg").stat().st_size > 1000


def test_minimal_example_refuses_what_is_no_photo(tmp_path):
    (tmp_path / "text.jpg").write_text("not a photo")
    ran = run_minimal(tmp_path / "text.jpg")
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
