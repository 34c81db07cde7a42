"""A timeline as SVG: lanes from top to bottom, time from left to right, bands behind everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from rich.text import Text

from seatrial.scenarios.timeline.model import Band, Lane, Mark, Timeline, Tone
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import stamp_of

COLORS: Final[Mapping[Tone, str]] = {
    "good": "#2e9e5b", "busy": "#e0a526", "bad": "#d0433b", "gone": "#8a8f98", "plain": "#9db4d0",
}  # fmt: skip
BAND_COLORS: Final = {"fault": "#d0433b", "load": "#7a5cc0", "clock": "#5b7fa6"}
LABELS, CHART, RIGHT = 330, 960, 20
ROW, BAND_ROW, AXIS, TOP = 22, 18, 26, 8
TICKS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400)
"""Seconds between two marks of the axis."""
TICKS_MAX: Final = 12
LABEL_CELLS, DEPTH_CELLS, BAND_CELLS = 50, 2, 48
"""How long the texts at the left may be, in letters of the alphabet; one of Hangul is as wide as two."""
ARROWS_MAX: Final = 400
MARK_GAP: Final = 3.0
"""Marks of one lane that are closer than this many pixels are drawn as one."""
STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#222}.dim{fill:#777}.axis{stroke:#ddd}.lane{stroke:#eee}
.arrow{fill:none;stroke:#555;stroke-opacity:.25}.mark{fill:#fff;stroke:#333}.warn{fill:#d0433b;stroke:#7a1f1a}
"""


class Scale:
    """From time to pixels."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, max(end, start + 1)

    def x(self, at: int) -> float:
        return round(LABELS + CHART * (at - self.start) / (self.end - self.start), 1)


def ticks(start: int, end: int, zero: int = 0) -> list[int]:
    """Times (µs) at which the axis has a mark; counted from ``zero`` they are round."""
    span = max(1, (end - start) // S)
    step = next((each for each in TICKS if span / each <= TICKS_MAX), -(-span // TICKS_MAX)) * S
    return list(range(zero - (zero - start) // step * step, end + 1, step))


def drawn(timeline: Timeline) -> str:
    """The picture; its elements carry what an HTML page around it needs: data-at, data-revision."""
    scale = Scale(timeline.start, timeline.end)
    rows = _rows(timeline.bands)
    top = TOP + AXIS + BAND_ROW * (max(rows.values(), default=-1) + 1)
    height = top + ROW * len(timeline.lanes) + TOP
    width = LABELS + CHART + RIGHT
    ys = {lane.key: top + ROW * number for number, lane in enumerate(timeline.lanes)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'data-start="{timeline.start}" data-end="{timeline.end}" data-left="{LABELS}" data-width="{CHART}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *_axis(timeline, scale, height),
        *_bands(timeline, scale, rows, height),
        *(line for lane in timeline.lanes for line in _label(lane, ys[lane.key], width)),
        *_spans(timeline, scale, ys),
        *_arrows(timeline, scale, ys),
        *_marks(timeline, scale, ys),
        "</svg>",
    ]
    return "\n".join(parts)


def _rows(bands: tuple[Band, ...]) -> dict[int, int]:
    """The row of each band: the first in which it touches no other."""
    ends: list[int] = []
    found: dict[int, int] = {}
    for number, band in sorted(enumerate(bands), key=lambda each: each[1].start):
        row = next((at for at, end in enumerate(ends) if end <= band.start), len(ends))
        if row == len(ends):
            ends.append(0)
        ends[row] = band.end
        found[number] = row
    return found


def _axis(timeline: Timeline, scale: Scale, height: int) -> Iterator[str]:
    for at in ticks(timeline.start, timeline.end, timeline.zero or 0):
        x = scale.x(at)
        yield f'<line class="axis" x1="{x}" y1="{TOP + AXIS - 6}" x2="{x}" y2="{height - TOP}"/>'
        yield f'<text class="dim" x="{x}" y="{TOP + 12}" text-anchor="middle">{timeline.told(at)}</text>'
    if timeline.zero is None:
        yield f'<text class="dim" x="8" y="{TOP + 12}">{stamp_of(timeline.start)[:10]}</text>'


def _bands(timeline: Timeline, scale: Scale, rows: Mapping[int, int], height: int) -> Iterator[str]:
    for number, band in enumerate(timeline.bands):
        x, wide = scale.x(band.start), max(2.0, scale.x(band.end) - scale.x(band.start))
        y, color = TOP + AXIS + BAND_ROW * rows[number], BAND_COLORS[band.kind]
        title = f"<title>{escape(band.title)}</title>"
        yield (
            f'<rect x="{x}" y="{y}" width="{wide:.1f}" height="{height - TOP - y}" fill="{color}" '
            f'fill-opacity=".08">{title}</rect>'
        )
        yield f'<rect x="{x}" y="{y}" width="{wide:.1f}" height="{BAND_ROW - 3}" fill="{color}">{title}</rect>'
        text = escape(_cut(band.title, BAND_CELLS))
        yield f'<text x="{LABELS - 8}" y="{y + 12}" text-anchor="end" fill="{color}">{text}</text>'


def _label(lane: Lane, y: int, width: int) -> Iterator[str]:
    place = f"{lane.namespace}/" if lane.namespace not in ("", "default") else ""
    text = _cut(f"{lane.kind} {place}{lane.name}".lstrip(), LABEL_CELLS - DEPTH_CELLS * lane.depth)
    yield f'<line class="lane" x1="0" y1="{y + ROW}" x2="{width}" y2="{y + ROW}"/>'
    yield f'<text x="{8 + 12 * lane.depth}" y="{y + 15}">{escape(text)}</text>'


def _spans(timeline: Timeline, scale: Scale, ys: Mapping[str, int]) -> Iterator[str]:
    for span in timeline.spans:
        x, wide = scale.x(span.start), max(1.0, scale.x(span.end) - scale.x(span.start))
        y = ys[span.lane]
        title = f"{span.state} {timeline.told(span.start)} – {timeline.told(span.end)}"
        yield (
            f'<rect x="{x}" y="{y + 5}" width="{wide:.1f}" height="{ROW - 9}" rx="2" fill="{COLORS[span.tone]}">'
            f"<title>{escape(title)}</title></rect>"
        )
        if wide > 7 * len(span.state) + 6:
            yield f'<text x="{x + 4}" y="{y + 15}" style="font-size:10px;fill:#fff">{escape(span.state)}</text>'


def _arrows(timeline: Timeline, scale: Scale, ys: Mapping[str, int]) -> Iterator[str]:
    """From a cause to what follows from it, where both are in the picture and not in one lane."""
    known = {mark.revision: mark for mark in timeline.marks}
    count = 0
    for mark in timeline.marks:
        cause = known.get(mark.because) if mark.because is not None else None
        if cause is None or cause.lane == mark.lane or count >= ARROWS_MAX:
            continue
        count += 1
        x1, y1 = scale.x(cause.at), ys[cause.lane] + ROW // 2
        x2, y2 = scale.x(mark.at), ys[mark.lane] + ROW // 2
        bend = (x1 + x2) / 2
        yield (
            f'<path class="arrow" data-revision="{mark.revision}" '
            f'd="M{x1} {y1} C{bend:.1f} {y1} {bend:.1f} {y2} {x2} {y2}"/>'
        )


def _marks(timeline: Timeline, scale: Scale, ys: Mapping[str, int]) -> Iterator[str]:
    last: dict[str, tuple[float, bool]] = {}
    for mark in timeline.marks:
        x, y = scale.x(mark.at), ys[mark.lane] + ROW // 2
        before = last.get(mark.lane)
        if before is not None and x - before[0] < MARK_GAP and (before[1] or not mark.warning):
            continue
        last[mark.lane] = (x, mark.warning)
        shape = "mark warn" if mark.warning else "mark"
        yield (
            f'<circle class="{shape}" data-revision="{mark.revision}" cx="{x}" cy="{y}" r="3.5">'
            f"<title>{escape(_told(timeline, mark))}</title></circle>"
        )


def _told(timeline: Timeline, mark: Mark) -> str:
    """A mark in one line."""
    source = f" (because of {mark.because})" if mark.because is not None else ""
    return f"{timeline.told(mark.at)}  {mark.by}: {mark.what}{source}"


def _cut(text: str, cells: int) -> str:
    cut = Text(text)
    cut.truncate(cells, overflow="ellipsis")
    return cut.plain
