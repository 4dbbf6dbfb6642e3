"""`python -m resharp` is the `resharp` program."""

from __future__ import annotations

import sys

from resharp.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
