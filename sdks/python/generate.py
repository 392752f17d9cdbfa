#!/usr/bin/env python3
"""Generates the messages from the protocol, and the client for threads from the client for asyncio.

``--check`` compares instead of writing, and fails if a file is out of date. The versions of the tools are those of
``requirements.txt``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "src" / "factum_store"
PACKAGE_OF_PROTOCOL = "factum/store/v1"

NOTE = "# Generated from {source} by generate.py; do not edit.\n"

WORDS = [
    (r"_async\b", "_sync"),
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bimport asyncio\b", "import time"),
]


def messages(protocol: Path) -> dict[Path, str]:
    """Generates the messages of all files of the protocol."""
    files = sorted(path.relative_to(protocol).as_posix() for path in (protocol / PACKAGE_OF_PROTOCOL).glob("*.proto"))
    generated = {}
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={protocol}"]
        subprocess.run([*command, f"--python_out=pyi_out:{scratch}", *files], check=True)
        for path in sorted((Path(scratch) / PACKAGE_OF_PROTOCOL).iterdir()):
            text = path.read_text()
            # The files are in another package than the protocol.
            text = re.sub(r"^from factum\.store\.v1 import", "from factum_store._proto import", text, flags=re.M)
            generated[PACKAGE / "_proto" / path.name] = text
    return generated


def client() -> dict[Path, str]:
    """Generates the client for threads."""
    generated = {}
    for path in sorted((PACKAGE / "_async").glob("*.py")):
        if path.name in ("__init__.py", "transport.py"):
            continue
        text = path.read_text()
        for pattern, replacement in WORDS:
            text = re.sub(pattern, replacement, text)
        text = format_code(text)
        generated[PACKAGE / "_sync" / path.name] = NOTE.format(source=f"_async/{path.name}") + text
    return generated


def format_code(text: str) -> str:
    """Sorts the imports, and wraps lines as the sources are wrapped."""
    for command in (["check", "--select", "I", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(PACKAGE / "_sync" / "client.py"), "-"]
        text = subprocess.run(ruff, input=text, text=True, capture_output=True, check=True, cwd=HERE).stdout
    return text


def main() -> int:
    """Generates or compares; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the existing files")
    default = HERE.parents[1] / "adapters" / "grpc" / "protocol" / "proto"
    parser.add_argument("--protocol", type=Path, default=default, help="folder of the protocol")
    options = parser.parse_args()
    generated = messages(options.protocol) | client()
    outdated = [path for path, text in generated.items() if not path.exists() or path.read_text() != text]
    for path in outdated:
        if options.check:
            print(f"{path.relative_to(HERE)} is out of date; run sdks/python/generate.py", file=sys.stderr)
        else:
            path.write_text(generated[path])
    return 1 if options.check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
