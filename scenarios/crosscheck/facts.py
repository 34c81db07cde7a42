"""What a recording says that should be the same on every cluster: facts, named and without what chance draws.

Names that are generated lose their drawn part, so pods of one ReplicaSet are alike; a fact holds as often as it was
seen. Times are kept apart from what happened, because only they need a tolerance.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seatrial.scenarios.crosscheck.recording import Recording, Seen, of_kind

DRAWN = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}(?=$|[ \"'./,:)])")
HASH = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}(?=$|[ \"'./,:)-])")
PLACE = re.compile(r"\bto [a-z][a-z0-9.-]*$|\b\d+\.\d+\.\d+\.\d+\b|in [0-9.]+m?s( \([0-9.]+m?s including waiting\))?")
SIZE = re.compile(r"Image size: \d+ bytes")
UNSTABLE = (
    "Time",
    "Timestamp",
    "resourceVersion",
    "uid",
    "podIP",
    "hostIP",
    "imageID",
    "containerID",
    "collisionCount",
)
WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "PodDisruptionBudget")


class Facts(NamedTuple):
    """Of one recording."""

    counted: Counter[tuple[str, str]]
    """(category, fact) with how often it was seen."""
    timed: Mapping[tuple[str, str], float]
    """(category, milestone) with its second."""


def masked(text: str) -> str:
    """A text without names, hashes, addresses and durations that chance draws."""
    for pattern, instead in ((SIZE, "Image size"), (PLACE, "…"), (DRAWN, "-…"), (HASH, "-…")):
        text = pattern.sub(instead, text)
    return text


def facts_of(recording: Recording) -> Facts:
    """All facts of a recording."""
    counted: Counter[tuple[str, str]] = Counter()
    for category, found in (
        ("events", events(recording.changes)),
        ("pod lives", lives(recording.changes)),
        ("conditions", conditions(recording.changes)),
        ("final states", finals(recording.changes)),
    ):
        counted.update((category, fact) for fact in found)
    return Facts(counted, milestones(recording.changes))


def events(changes: Iterable[Seen]) -> list[str]:
    """Each event with its author, once for each object that it is about."""
    last: dict[str, str] = {}
    for _, verb, event in of_kind(changes, "Event"):
        if verb == "DELETED":
            continue
        about = event.get("involvedObject") or {}
        by = (event.get("source") or {}).get("component") or event.get("reportingComponent", "")
        name = masked(f"{about.get('name', '')}")
        text = f"{event.get('type')} {event.get('reason')} {about.get('kind')}/{name} by {by}: "
        last[event["metadata"]["name"]] = text + masked(event.get("message", ""))
    return list(last.values())


def lives(changes: Iterable[Seen]) -> list[str]:
    """The phases that each pod went through, from its creation to its end."""
    told: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for _, verb, pod in of_kind(changes, "Pod"):
        uid, status = pod["metadata"]["uid"], pod.get("status") or {}
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
        phase = f"{status.get('phase')}{' ready' if ready else ''}"
        state = (
            "gone" if verb == "DELETED" else f"{phase}{' leaving' if 'deletionTimestamp' in pod['metadata'] else ''}"
        )
        names[uid] = masked(pod["metadata"]["name"])
        story = told.setdefault(uid, [])
        if not story or story[-1] != state:
            story.append(state)
    return [f"{names[uid]}: {' → '.join(story)}" for uid, story in told.items()]


def conditions(changes: Iterable[Seen]) -> list[str]:
    """Each condition that a workload ever had, with its reason."""
    found: dict[str, None] = {}
    for _, _, obj in changes:
        if obj.get("kind") in WORKLOADS:
            for each in (obj.get("status") or {}).get("conditions") or ():
                name = masked(obj["metadata"]["name"])
                found[f"{obj['kind']}/{name} {each['type']}={each['status']} {each.get('reason', '')}".rstrip()] = None
    return list(found)


def finals(changes: Iterable[Seen]) -> list[str]:
    """Numbers and texts in the last status of each workload, and which objects were left."""
    last: dict[str, Seen] = {}
    for change in changes:
        last[change.obj["metadata"].get("uid", "")] = change
    found = []
    for _, verb, obj in last.values():
        kind = obj.get("kind", "")
        if kind in ("Event", "Pod"):
            continue
        name = f"{kind}/{masked(obj['metadata']['name'])}"
        found.append(f"{name} is {'gone' if verb == 'DELETED' else 'there'}")
        if kind in WORKLOADS and verb != "DELETED":
            found += [f"{name} {text}" for text in sorted(scalars(obj.get("status") or {}))]
    return found


def scalars(status: Mapping[str, Any]) -> list[str]:
    """``field=value`` of a status without times and drawn values."""
    return [
        f"{key}={masked(str(value))}"
        for key, value in status.items()
        if isinstance(value, int | str) and not key.endswith(UNSTABLE) and not key.endswith("Revision")
    ]


def milestones(changes: Iterable[Seen]) -> dict[tuple[str, str], float]:
    """When the n-th pod of a kind was made, was first ready and was gone, and when conditions last changed."""
    moments: dict[str, list[float]] = {}
    known: dict[tuple[str, str], None] = {}
    for at, verb, pod in of_kind(changes, "Pod"):
        status, name = pod.get("status") or {}, masked(pod["metadata"]["name"])
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
        signs = (
            ("made", True),
            ("ready", ready),
            (str(status.get("phase")), status.get("phase") in ("Succeeded", "Failed")),
        )
        for sign, holds in (*signs, ("gone", verb == "DELETED")):
            if holds and (pod["metadata"]["uid"], sign) not in known:
                known[pod["metadata"]["uid"], sign] = None
                moments.setdefault(f"{name} {sign}", []).append(at)
    return {
        ("times", f"{what} ({number})"): at for what, times in moments.items() for number, at in enumerate(times, 1)
    }
