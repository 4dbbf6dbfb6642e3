"""What MkDocs does to the pages in docs/ beyond Markdown: links out of docs/, and the API from docstrings.

MkDocs calls the functions named on_*; `mkdocs.yml` names this file.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from api_pages import expanded

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)\s]*)\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """The page as MkDocs shall see it."""
    return linked(expanded(markdown), config.repo_url or "")


def linked(markdown: str, repository: str) -> str:
    """Links to files outside docs/ lead into the repository; without its address only their text is left."""

    def replaced(found: re.Match[str]) -> str:
        text, target = found[1], found[2].removeprefix("../")
        return f"[{text}]({repository.rstrip('/')}/blob/main/{target})" if repository else text

    return LINK.sub(replaced, markdown)
