"""A timeline for a terminal: a bar per object, and below it what happened, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rich.text import Text

from seatrial.scenarios.timeline.model import Lane, Mark, Timeline, Tone
from seatrial.scenarios.timeline.picture import ticks
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import micro_stamp_of, stamp_of

CELLS: Final[Mapping[Tone, tuple[str, str]]] = {
    "good": ("█", "green"), "busy": ("▒", "yellow"), "bad": ("▓", "red"), "gone": ("░", "bright_black"),
    "plain": ("─", "blue"),
}  # fmt: skip
WORST: Final[tuple[Tone, ...]] = ("bad", "gone", "busy", "plain", "good")
"""Which state of a cell is shown when there are several."""
BANDS: Final = {"fault": ("▔", "red"), "load": ("▔", "magenta"), "clock": ("▔", "cyan")}
LABEL_MAX: Final = 42
BAR_MIN: Final = 20


def lines(timeline: Timeline, width: int = 100, limit: int | None = 40) -> Iterator[Text]:
    """The lines, at most ``width`` wide where their text allows; of what happened the last ``limit``."""
    label = min(LABEL_MAX, max((len(_title(lane)) for lane in timeline.lanes), default=10), width - BAR_MIN - 2)
    bar = max(BAR_MIN, width - label - 2)
    scale = _Scale(timeline.start, timeline.end, bar)
    yield _axis(timeline, scale, label)
    for band in timeline.bands:
        cell, color = BANDS[band.kind]
        first, last = scale.cell(band.start), scale.cell(band.end)
        row = Text(_fit(band.title, label).ljust(label) + "  ", style=color)
        yield row.append(" " * first + cell * (last - first + 1), style=color)
    for lane in timeline.lanes:
        yield _row(timeline, lane, scale, label)
    if timeline.hidden:
        yield Text(f"{timeline.hidden} objects more: name one, or raise --lanes", style="dim")
    yield Text("█ well  ▒ on its way  ▓ wrong  ░ going  ─ there  ● something happened  ▲ a warning", style="dim")
    yield Text("")
    yield from _story(timeline, limit)


class _Scale:
    def __init__(self, start: int, end: int, cells: int) -> None:
        self._start, self._span, self.cells = start, max(1, end - start), cells

    def cell(self, at: int) -> int:
        return max(0, min(self.cells - 1, self.cells * (at - self._start) // self._span))


def _title(lane: Lane) -> str:
    place = f"{lane.namespace}/" if lane.namespace not in ("", "default") else ""
    return f"{'  ' * lane.depth}{lane.kind.lower()}/{place}{lane.name}"


def _fit(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _axis(timeline: Timeline, scale: _Scale, label: int) -> Text:
    row = [" "] * scale.cells
    free = 0
    for at in ticks(timeline.start, timeline.end, timeline.zero or 0):
        first, text = scale.cell(at), timeline.told(at)
        if first >= free and first + len(text) <= scale.cells:
            row[first : first + len(text)] = text
            free = first + len(text) + 2
    return Text(stamp_of(timeline.start)[:10].ljust(label) + "  " + "".join(row), style="dim")


def _row(timeline: Timeline, lane: Lane, scale: _Scale, label: int) -> Text:
    cells: list[tuple[str, str]] = [(" ", "")] * scale.cells
    ranks = [len(WORST)] * scale.cells
    for span in timeline.spans:
        if span.lane == lane.key:
            rank = WORST.index(span.tone)
            for cell in range(scale.cell(span.start), scale.cell(span.end) + 1):
                if rank < ranks[cell]:
                    ranks[cell], cells[cell] = rank, CELLS[span.tone]
    for mark in timeline.marks:
        if mark.lane == lane.key:
            cell = scale.cell(mark.at)
            if mark.warning or cells[cell][0] != "▲":
                cells[cell] = ("▲", "bold red") if mark.warning else ("●", cells[cell][1] or "white")
    row = Text(_fit(_title(lane), label).ljust(label) + "  ")
    for text, style in cells:
        row.append(text, style=style)
    return row


def _story(timeline: Timeline, limit: int | None) -> Iterator[Text]:
    """What happened: number, the number of what it follows from, time, seconds since the start, who, what."""
    marks = timeline.marks if limit is None else timeline.marks[-limit:]
    numbers = {mark.revision: str(number) for number, mark in enumerate(marks, 1)}
    titles = {lane.key: _title(lane).strip() for lane in timeline.lanes}
    rows = [("#", "FROM", "TIME", "AFTER", "WHO", "OBJECT", "WHAT")]
    rows += [
        (
            numbers[mark.revision],
            numbers.get(mark.because, "") if mark.because is not None else "",
            micro_stamp_of(mark.at)[11:23],
            f"+{(mark.at - timeline.start) / S:.3f}s",
            mark.by,
            titles[mark.lane],
            mark.what,
        )
        for mark in marks
    ]
    if len(marks) < len(timeline.marks):
        yield Text(f"the last {len(marks)} of {len(timeline.marks)} things that happened", style="dim")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, mark in zip(rows, (None, *marks), strict=True):
        text = "  ".join(map(str.ljust, row, widths)).rstrip()
        yield Text(text, style=_style(mark))


def _style(mark: Mark | None) -> str:
    return "bold" if mark is None else "red" if mark.warning else ""
