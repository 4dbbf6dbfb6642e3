"""The Python API as Markdown, from signatures and docstrings, read and not imported.

In a page, a line `::: resharp.pipeline.DeblurPipeline` stands for that class, function or constant's documentation.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
DIRECTIVE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
SECTIONS = ("Args", "Returns", "Yields", "Raises", "Example")
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


def expanded(markdown: str) -> str:
    """Every directive replaced by what it names."""
    return DIRECTIVE.sub(lambda found: documentation(found[1]), markdown)


def documentation(name: str) -> str:
    """The Markdown of one public name.

    Raises:
        LookupError: there is no such name, or it has no docstring.
    """
    module, _, short = name.rpartition(".")
    path = SOURCE.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.is_file():
        raise LookupError(f"{name}: no module {module}")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, (*Function, ast.ClassDef)) and node.name == short:
            return _class(node, module) if isinstance(node, ast.ClassDef) else _function(node, module, 3)
        imported = [each.name for each in node.names] if isinstance(node, ast.ImportFrom) else []
        if short in imported and node.module != module:
            return documentation(f"{node.module}.{short}")
    raise LookupError(f"{name}: {path.name} does not define {short}")


def _class(node: ast.ClassDef, module: str) -> str:
    parts = [f"### {node.name}", _code(f"from {module} import {node.name}"), _docstring(node, f"{module}.{node.name}")]
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    if fields:
        parts.append(_code("\n".join(ast.unparse(each) for each in fields)))
    for each in node.body:
        shown = isinstance(each, Function) and (not each.name.startswith("_") or each.name == "__call__")
        if shown and ast.get_docstring(each):
            parts.append(_function(each, "", 4, node.name))
    return "\n\n".join(parts)


def _function(node: ast.FunctionDef, module: str, level: int, owner: str = "") -> str:
    decorators = {ast.unparse(each) for each in node.decorator_list}
    title = f"{owner}.{node.name}" if owner else node.name
    title = owner if node.name == "__call__" else title
    arguments = ast.unparse(node.args)
    if owner and "staticmethod" not in decorators:
        arguments = re.sub(r"^(self|cls)(, )?", "", arguments)
    if "property" in decorators:
        signature = f"{title} -> {ast.unparse(node.returns)}" if node.returns else title
    else:
        signature = f"{title}({arguments})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    if len(signature) > 100 and node.args.args + node.args.kwonlyargs:
        signature = signature.replace(f"({arguments})", f"(\n{_one_a_line(arguments)}\n)", 1)
    heading = "calling it" if node.name == "__call__" else node.name
    heading = f"{'#' * level} {owner}: {heading}" if owner else f"{'#' * level} {heading}"
    imported = f"from {module} import {node.name}\n\n" if module else ""
    return "\n\n".join([heading, _code(imported + signature), _docstring(node, title)])


def _one_a_line(arguments: str) -> str:
    """A comma at depth 0 ends a line."""
    depth, lines, line = 0, [], ""
    for sign in arguments:
        depth += (sign in "([{") - (sign in ")]}")
        line += sign
        if sign == "," and depth == 0:
            lines.append(line.strip())
            line = ""
    return "\n".join(f"    {each}" for each in [*lines, line.strip()])


def _docstring(node: ast.AST, name: str) -> str:
    text = ast.get_docstring(node)  # type: ignore[arg-type]
    if not text:
        raise LookupError(f"{name} has no docstring")
    return "\n\n".join(_section(block) for block in _blocks(text))


def _blocks(text: str) -> list[str]:
    """Paragraphs; an indented block stays with the line before it."""
    blocks: list[str] = []
    for paragraph in re.split(r"\n\n+", text):
        if blocks and paragraph.startswith("    ") and blocks[-1].split(":")[0] in SECTIONS:
            blocks[-1] += f"\n\n{paragraph}"
        else:
            blocks.append(paragraph)
    return blocks


def _section(block: str) -> str:
    head, _, body = block.partition("\n")
    if head.rstrip(":") not in SECTIONS or not head.endswith(":"):
        return _plain(block)
    body = textwrap.dedent(body)
    if head == "Example:" or body.startswith(">>>"):
        return _code(body)
    items = re.split(r"\n(?=\S)", body)
    if head in ("Args:", "Raises:"):
        lines = [re.sub(r"^([\w*, ]+):", r"`\1`:", " ".join(item.split())) for item in items]
        return f"**{head}**\n\n" + "\n".join(f"- {line}" for line in lines)
    return f"**{head}** " + " ".join(body.split())


def _plain(block: str) -> str:
    if block.startswith((">>>", "    ")):
        return _code(inspect.cleandoc(block))
    # `name: what it is` lines, as the docstrings of dataclasses have them, become a list.
    lines = re.split(r"\n(?=\S)", block)
    if len(lines) > 1 and all(re.match(r"[\w, ]+: ", line) for line in lines):
        return "\n".join(re.sub(r"^([\w, ]+):", r"- `\1`:", " ".join(line.split())) for line in lines)
    return block


def _code(text: str) -> str:
    return f"```python\n{text}\n```"
