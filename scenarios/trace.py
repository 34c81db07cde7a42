"""A run as a page of text that a reviewer reads: what the cluster reported, and what became of the goals.

Names that chance makes are told without it (``web-*``), times to the second, each thing the first time that it happens.
Kept beside its scenario, a trace shows in a difference what a change of the simulation means to a learner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from seatrial.scenarios.report import report_of
from seatrial.scenarios.runner import Run
from seatrial.sim.config import S
from seatrial.sim.history import History, controller_of

TOLERANCE_S, TOLERANCE = 1, 0.02
"""By how much times may differ: so many seconds, or that share of them if it is more."""
MESSAGE_MAX = 160
ADDRESS = re.compile(r"\b172\.16\.\d+\.\d+\b")
TIMES = re.compile(r"\b\d+(\.\d+)?(ms|s)\b")
LINE = re.compile(r"^ *(\d+) s  (.*)$")
UNMADE = re.compile(r"(?<=-\*)-[a-z0-9]{5}\b")
"""What a name ends with of a pod that was refused, so that its owner is all that is known of it."""
DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def trace(run: Run) -> str:
    """The page of a run that is over."""
    found = [(moment.s, f"{moment.kind}: {moment.what}") for moment in report_of(run).timeline]
    found += [(at, text) for at, text in _events(run)]
    found.sort(key=lambda each: (int(each[0]), each[1]))
    return "".join(f"{int(at):6} s  {text}\n" for at, text in found)


def differences(kept: str, now: str) -> list[str]:
    """What one trace has and the other has not."""
    left, right = _by_text(kept), _by_text(now)
    found = []
    for text in dict.fromkeys([*left, *right]):
        before, after = left.get(text, []), right.get(text, [])
        same = len(before) == len(after) and all(map(_near, before, after))
        if not same:
            found.append(f"{text}: at {_shown(before)}, now at {_shown(after)}")
    return found


def _by_text(page: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for line in page.splitlines():
        if (match := LINE.match(line)) is not None:
            found.setdefault(match[2], []).append(int(match[1]))
    return found


def _near(before: int, after: int) -> bool:
    return abs(before - after) <= max(TOLERANCE_S, before * TOLERANCE)


def _shown(times: list[int]) -> str:
    return ", ".join(f"{each} s" for each in times) or "no time"


def _events(run: Run) -> Iterator[tuple[float, str]]:
    """Kubernetes' own Events, the first of each sort."""
    began = run.began_at or 0
    names: dict[str, str] = {}
    seen: set[str] = set()
    for change in History(run.cluster.store).changes():
        obj, metadata = change.obj, change.obj["metadata"]
        if change.verb == "ADDED" and change.storage in ("pods", "replicasets.apps", "controllerrevisions.apps"):
            names[metadata["name"]] = _told(metadata["name"], obj, names)
        if change.storage != "events" or change.verb == "DELETED" or change.at_us < began:
            continue
        about = obj["involvedObject"]
        message = _plain(obj.get("message", ""), names)
        text = f"{obj['type']} {about['kind']}/{names.get(about['name'], about['name'])} {obj['reason']}: {message}"
        if text not in seen:
            seen.add(text)
            yield (change.at_us - began) / S, text


def _told(name: str, obj: object, names: dict[str, str]) -> str:
    assert isinstance(obj, dict)
    owner = controller_of(obj)
    if owner is None or owner["kind"] in ("StatefulSet", "Node"):
        return name
    above: str = owner["name"]
    return f"{names.get(above, above).removesuffix('-*')}-*"


def _plain(message: str, names: dict[str, str]) -> str:
    for name in sorted(names, key=len, reverse=True):
        if name in message:
            message = message.replace(name, names[name])
    message = DIGEST.sub("UID", TIMES.sub("TIME", ADDRESS.sub("POD-IP", UNMADE.sub("", message))))
    message = " ".join(message.split())
    return message if len(message) <= MESSAGE_MAX else message[:MESSAGE_MAX] + "…"
