"""How far something long has come, on a terminal; where nobody looks, nothing is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown(what: str) -> Iterator[Callable[[float], None]]:
    """A bar that begins with the first share (0 to 1) that is told, and goes when all is done."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task: list[object] = []

        def show(share: float) -> None:
            if not task:
                task.append(bar.add_task(what, total=1.0))
            bar.update(task[0], completed=share)  # type: ignore[arg-type]

        yield show
