"""A timeline as one HTML page that needs nothing else: the picture, a slider that puts nodes, pods and services on a
stage as they were at any moment, and what led to each thing that happened."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import Any

import orjson

from seatrial.scenarios.timeline.model import Timeline
from seatrial.scenarios.timeline.picture import COLORS, drawn
from seatrial.sim.kernel.clock import stamp_of


def page(timeline: Timeline, title: str) -> str:
    """The page, as text."""
    template = files("seatrial.scenarios.timeline").joinpath("page.html").read_text(encoding="utf-8")
    hidden = f"; {timeline.hidden} objects more are not shown" if timeline.hidden else ""
    values = {
        "title": escape(title),
        "subtitle": escape(f"{stamp_of(timeline.start)} to {stamp_of(timeline.end)}{hidden}"),
        "picture": drawn(timeline),
        "data": script(_data(timeline)),
        "colors": script(dict(COLORS)),
    }
    for name, value in values.items():
        template = template.replace(f"@@{name}@@", value)
    return template


def _data(timeline: Timeline) -> dict[str, Any]:
    """What the page's script needs."""
    names = {
        lane.key: f"{lane.kind} {f'{lane.namespace}/' if lane.namespace else ''}{lane.name}" for lane in timeline.lanes
    }
    marks = [
        [mark.revision, mark.at, names[mark.lane], mark.by, mark.what, mark.because, mark.warning]
        for mark in timeline.marks
    ]
    stage = [[turn.at, turn.kind, turn.key, turn.value] for turn in timeline.stage]
    bands = [[band.kind, band.title, band.start, band.end] for band in timeline.bands]
    return {"start": timeline.start, "end": timeline.end, "marks": marks, "stage": stage, "bands": bands}


def script(value: Any) -> str:
    """A value as it can stand in a script of an HTML page: nothing in it ends the script."""
    return orjson.dumps(value).decode().replace("<", "\\u003c")
