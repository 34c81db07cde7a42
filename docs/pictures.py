"""Takes the pictures in docs/pictures: what a terminal shows while somebody practises, and the pages that come of it.

    make pictures

Everything is typed for real, before clusters of the script's own in a home of its own. What a command prints becomes an
SVG by rich; pages are looked at by a headless Chromium, which has to be there (Debian: chromium, and fonts-nanum for
Hangul).
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURES = Path(__file__).parent / "pictures"
BIN = Path(sys.executable).parent
COLUMNS = 122
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PNG_BYTES_MAX = 200_000
TERMINAL = """\
<svg viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
<rect fill="#1f2430" width="{terminal_width}" height="{terminal_height}" rx="8"/>
<g transform="translate(10, 10)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""
"""rich's own form without the frame of a window and without a font from somewhere else."""
NET_01 = (
    "seatrial scenario start NET-01",
    "seatrial clock pause >/dev/null; seatrial clock advance 20s >/dev/null",
    "kubectl get pods,endpointslices",
    "kubectl get service web -o wide; kubectl get pods --show-labels",
    """kubectl patch service web -p '{"spec":{"selector":{"app":"web"}}}'""",
    "seatrial clock advance 40s",
    "seatrial scenario check",
)
WEB = (
    "kubectl create deployment web --image=nginx --replicas=3",
    "kubectl expose deployment web --port=80",
    "seatrial clock advance 30s",
    "seatrial fault add node-crash --on w1-k8s --for 7m",
    "seatrial clock advance 9m",
)
TIMELINE = ("seatrial timeline --since 9m --limit 8",)


class Desk:
    """A user with a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._environment = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
        }

    def typed(self, line: str) -> str:
        """What a line shows at a terminal."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        shown = b""
        with subprocess.Popen(
            ["sh", "-c", line], env=self._environment, cwd=self.home, stdin=follower, stdout=follower, stderr=follower
        ) as running:
            os.close(follower)
            try:
                while piece := os.read(leader, 65536):
                    shown += piece
            except OSError:
                # The end of a pseudo-terminal.
                pass
        os.close(leader)
        if running.returncode:
            raise SystemExit(f"{line}: exit code {running.returncode}\n{shown.decode()}")
        return shown.decode().replace("\r\n", "\n")


def terminal(desk: Desk, lines: Sequence[str], name: str) -> None:
    """Types lines and draws what is seen; those that say nothing are typed out of sight."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        shown = desk.typed(line)
        if ">/dev/null" in line:
            continue
        console.print(Text("$ ", style="bold green") + Text(line, style="bold"), soft_wrap=True)
        console.print(Text.from_ansi(shown.rstrip("\n")), soft_wrap=True)
        console.print()
    put(name, console.export_svg(title=name, code_format=TERMINAL, unique_id=name).encode())


def page(desk: Desk, file: str, name: str, height: int) -> None:
    """What a browser shows of a page."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"a browser is needed for {name}.png: none of {', '.join(BROWSERS)} is here")
    made = desk.home / f"{name}.png"
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--virtual-time-budget=5000",
        f"--user-data-dir={desk.home}/browser",
    )
    size = f"--window-size=1340,{height}"
    subprocess.run(
        [browser, *options, size, f"--screenshot={made}", f"file://{desk.home / file}"], check=True, capture_output=True
    )
    content = made.read_bytes()
    if len(content) > PNG_BYTES_MAX:
        raise SystemExit(f"{name}.png has {len(content)} bytes, more than {PNG_BYTES_MAX}")
    put(f"{name}.png", content)


def put(name: str, content: bytes) -> None:
    """Keeps a picture."""
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / (name if "." in name else f"{name}.svg")
    path.write_bytes(content)
    print(f"{path.relative_to(PICTURES.parent.parent)}: {len(content) / 1000:.0f} kB")


def main() -> None:
    """Takes all of them."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        try:
            terminal(desk, NET_01, "scenario")
            for language in ("en", "ko"):
                desk.typed(f"seatrial scenario report --html report-{language}.html --lang {language}")
            page(desk, "report-en.html", "report", 900)
            page(desk, "report-ko.html", "report-ko", 900)
            desk.typed("seatrial destroy net-01 --yes; seatrial up --nodes 2 --ephemeral; seatrial clock pause")
            for line in WEB:
                desk.typed(line)
            terminal(desk, TIMELINE, "timeline")
            desk.typed("seatrial timeline --since 9m --html timeline.html")
            page(desk, "timeline.html", "timeline", 900)
        finally:
            desk.typed("for name in net-01 seatrial; do seatrial destroy $name --yes 2>/dev/null || true; done")


if __name__ == "__main__":
    main()
