"""Compiles what kubectl says of its commands into the package data beside this module.

    python -m seatrial.scenarios.kubectl.data.compile KUBECTL

The same kubectl gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CHILD = re.compile(r"^  (\S+)\s{2,}(\S.*)$")
FLAG = re.compile(r"^ {4}(?:-(\w), )?--([\w-]+)=(.*):$")
CHILDREN = re.compile(r"^[A-Z][\w ()]*Commands[\w ()]*:$")


def said(kubectl: str, *path: str) -> str:
    """The help of a command, without the user's own directories in it."""
    environment = {"HOME": "/root", "PATH": "/nowhere"}
    done = subprocess.run([kubectl, *path], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.replace("/root/.kube", "$HOME/.kube")


def sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """The parts of a help text by their headings."""
    title, lines = "", list[str]()
    for line in text.splitlines():
        if re.match(r"^[A-Z][\w ()]*:$", line):
            yield title, lines
            title, lines = line, []
        else:
            lines.append(line)
    yield title, lines


def flags_of(lines: list[str]) -> list[list[str]]:
    """Rows of name, shorthand, default as printed, and usage."""
    found: list[list[str]] = []
    for line in lines:
        match = FLAG.match(line)
        if match:
            found.append([match[2], match[1] or "", match[3], ""])
        elif found and line.strip() and line.startswith("\t"):
            found[-1][3] = (found[-1][3] + "\n" + line.strip()).strip()
    return found


def compiled(kubectl: str) -> dict[str, Any]:
    """Every command by its path, words joined by blanks."""
    commands: dict[str, Any] = {}
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        path = waiting.pop(0)
        text = said(kubectl, *path, "--help")
        row: dict[str, Any] = {"help": text}
        children: list[str] = []
        for title, lines in sections(text):
            if CHILDREN.match(title) or (title == "Subcommands provided by plugins:"):
                children += [match[1] for line in lines if (match := CHILD.match(line))]
            elif title == "Aliases:":
                row["aliases"] = [word.strip() for word in lines[0].split(",")][1:]
            elif title == "Options:":
                row["flags"] = flags_of(lines)
        if children:
            row["children"] = children
        commands[" ".join(path)] = row
        waiting += [(*path, child) for child in children]
    options = said(kubectl, "options")
    commands["options"] = {"help": options}
    version = json.loads(said(kubectl, "version", "--client", "-o", "json"))
    return {"version": version, "global": flags_of(options.splitlines()), "commands": commands}


def main() -> None:
    raw = json.dumps(compiled(sys.argv[1]), indent=0, sort_keys=True).encode()
    (HERE / "commands.json.gz").write_bytes(gzip.compress(raw, 9, mtime=0))


if __name__ == "__main__":
    main()
