"""The `resharp` program; `python -m resharp` is the same."""

from __future__ import annotations

import sys


def main() -> int:
    """The exit code. The program is imported here, so that Ctrl-C meanwhile ends it in one line too."""
    try:
        from resharp.cli.main import run

        return run()
    except KeyboardInterrupt:  # while importing, or while an error is told
        print("resharp: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
