"""What ``describe`` writes with: indented lines of tab-ended cells, aligned in stretches.

Source: k8s.io/kubectl/pkg/describe/describe.go (PrefixWriter, print…Multiline).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from seatrial.scenarios.kubectl.tabwriter import align
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery.durations import since

Object = Mapping[str, Any]
ANNOTATION_MAX = 140
HIDDEN = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})


class Writer:
    """Collects text; ``flush`` ends a stretch of lines that share columns."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us
        self._done: list[str] = []
        self._open: list[str] = []

    def write(self, level: int, text: str) -> None:
        """Text as it is, behind two blanks for each level."""
        self._open.append("  " * level + text)

    def line(self, level: int, *cells: Any) -> None:
        """One line of cells."""
        self.write(level, "\t".join(str(cell) for cell in cells) + "\n")

    def flush(self) -> None:
        if self._open:
            self._done.append(align("".join(self._open)))
            self._open = []

    def text(self) -> str:
        self.flush()
        return "".join(self._done)

    def raw(self) -> str:
        """The text with its tabs as they are."""
        return "".join(self._done) + "".join(self._open)

    def since(self, stamp: str | None) -> str:
        return since(stamp, self.now_us)


def named(w: Writer, metadata: Object) -> None:
    """The first lines of what lives in a namespace."""
    w.line(0, "Name:", metadata["name"])
    w.line(0, "Namespace:", metadata["namespace"])


def when(stamp: str | None, missing: str = "<unset>") -> str:
    """A time as RFC 1123 with a zone has it."""
    if not stamp:
        return missing
    moment = datetime.fromtimestamp(parse_stamp(stamp) / 1_000_000, UTC)
    return moment.strftime("%a, %d %b %Y %H:%M:%S +0000")


ZERO_TIME = "Mon, 01 Jan 0001 00:00:00 +0000"


def boolean(value: Any) -> str:
    return "True" if value else "False"


def go_bool(value: Any) -> str:
    return "true" if value else "false"


def or_none(text: Any) -> str:
    return str(text) if text not in (None, "") else "<none>"


def or_unset(value: Any) -> str:
    if isinstance(value, bool):
        return go_bool(value)
    return str(value) if value not in (None, "") else "<unset>"


def labels(w: Writer, title: str, held: Mapping[str, str] | None, inner: str = "\t", separator: str = "=") -> None:
    """``Labels:`` with one pair on each line."""
    if not held:
        w.write(0, f"{title}:{inner}<none>\n")
        return
    for position, key in enumerate(sorted(held)):
        w.write(0, f"{title}:{inner}" if not position else inner)
        w.write(0, f"{key}{separator}{held[key]}\n")


def annotated(w: Writer, title: str, held: Mapping[str, str] | None, inner: str = "\t") -> None:
    """``Annotations:``; long values stand below their key, cut short."""
    kept = {key: value for key, value in (held or {}).items() if key not in HIDDEN}
    if not kept:
        w.write(0, f"{title}:{inner}<none>\n")
        return
    for position, key in enumerate(sorted(kept)):
        w.write(0, f"{title}:{inner}" if not position else inner)
        value = kept[key].removesuffix("\n")
        if len(value) + len(key) + 2 < ANNOTATION_MAX and "\n" not in value:
            w.write(0, f"{key}: {value}\n")
            continue
        w.write(0, f"{key}:\n")
        for each in value.split("\n"):
            w.write(0, f"{inner}  {shortened(each, ANNOTATION_MAX - 2)}\n")


def shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + "..."


def listed(w: Writer, title: str, values: Iterable[str]) -> None:
    """A title and its values, one on each line."""
    found = list(values)
    if not found:
        w.line(0, f"{title}:", "<none>")
        return
    for position, value in enumerate(found):
        w.line(0, f"{title}:" if not position else "", value)


def head(w: Writer, obj: Object, namespaced: bool = True) -> None:
    """Name, namespace, labels and annotations."""
    metadata = obj["metadata"]
    w.line(0, "Name:", metadata.get("name", ""))
    if namespaced:
        w.line(0, "Namespace:", metadata.get("namespace", ""))
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))


def controller(obj: Object) -> str:
    """``ReplicaSet/web-…`` of the controller that an object belongs to."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind']}/{owner['name']}"
    return ""


def events(w: Writer, found: Iterable[Object] | None) -> None:
    """The events of an object; None for a user who does not want them."""
    if found is None:
        return
    rows = sorted(found, key=lambda event: last_seen(event))
    if not rows:
        w.line(0, "Events:", "<none>")
        return
    w.flush()
    w.write(0, "Events:\n")
    w.line(1, "Type", "Reason", "Age", "From", "Message")
    w.line(1, "----", "------", "----", "----", "-------")
    for event in rows:
        source = (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""
        message = (event.get("message") or "").strip()
        field = (event.get("involvedObject") or {}).get("fieldPath")
        if field:
            message = f"{field}: {message}"
        w.line(1, event.get("type", ""), event.get("reason", ""), interval(w.since, event), source, message)


def interval(ago: Callable[[str | None], str], event: Object) -> str:
    """How long ago, and how often in what time."""
    first = ago(event.get("eventTime") or event.get("firstTimestamp"))
    series = event.get("series")
    if series:
        return f"{ago(series.get('lastObservedTime'))} (x{series.get('count', 0)} over {first})"
    if (event.get("count") or 0) > 1:
        return f"{ago(event.get('lastTimestamp'))} (x{event['count']} over {first})"
    return first


def last_seen(event: Object) -> str:
    """When an event happened last; the order of a list of events."""
    series = event.get("series") or {}
    return str(event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime") or "")


def selector(found: Object | None) -> str:
    """A label selector in one line (FormatLabelSelector)."""
    if found is None:
        return "<none>"
    from seatrial.sim.machinery.selectors import text_of

    return text_of(found) or "<none>"


def pairs(found: Mapping[str, str] | None) -> str:
    """A map selector in one line."""
    return ",".join(f"{key}={(found or {})[key]}" for key in sorted(found or {})) or "<none>"
