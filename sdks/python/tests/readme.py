"""Runs the programs of the README and of the book with a Python interpreter, against the server of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ADDRESS = "localhost:50051"


def programs(text: str) -> list[str]:
    """Returns the programs in the order of the text."""
    found = []
    for part in text.split("\n```python\n")[1:]:
        found.append(part.split("\n```\n")[0])
    before = text.split("\n```python\n")[:-1]
    return [program for program, prose in zip(found, before, strict=True) if not prose.endswith("-->")]


def main() -> int:
    """Runs all programs, and returns the exit status."""
    sdks = Path(__file__).parents[2]
    pages = [sdks / "python" / "README.md", sdks.parent / "docs" / "src" / "event-store" / "sdks.md"]
    found = [program for page in pages for program in programs(page.read_text())]
    assert len(found) >= 5, "the pages have too few programs"
    for program in found:
        assert ADDRESS in program, program
        text = program.replace(ADDRESS, os.environ["EVENT_STORE_ADDRESS"])
        run = subprocess.run([sys.argv[1], "-"], input=text, text=True, timeout=60, check=False)
        if run.returncode != 0:
            print(f"a program failed:\n{program}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
