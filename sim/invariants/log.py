"""What holds of the log itself and of what is stored under its revisions."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.sim.store.log import Change
from seatrial.sim.store.store import Store

Wrong = Iterator[str]


def revisions_are_contiguous(store: Store) -> Wrong:
    """What is wrong with the log: each revision from the floor to the tip is there exactly once, in order of time."""
    before: Change | None = None
    for revision in range(store.floor + 1, store.revision + 1):
        change = store.change(revision)
        if change is None:
            if store.skipped(revision):
                continue
            yield f"revision {revision} is not in the log"
            continue
        if change.revision != revision:
            yield f"the log has {change.revision} where {revision} belongs"
        if before is not None and change.at_us < before.at_us:
            yield f"revision {revision} is older than the one before it"
        before = change


def objects_carry_their_revision(store: Store) -> Wrong:
    """What is wrong with what is stored: each object's resourceVersion is that of its last change."""
    last: dict[tuple[str, str, str], int] = {}
    for revision in range(store.floor + 1, store.revision + 1):
        change = store.change(revision)
        if change is not None:
            metadata = change.obj["metadata"]
            last[change.storage, metadata.get("namespace", ""), metadata["name"]] = revision
    for (storage, namespace, name), revision in last.items():
        obj, change = store.get(storage, namespace, name), store.change(revision)
        gone = change is not None and change.verb == "DELETED"
        if (obj is None) != gone:
            yield f"{storage} {namespace}/{name} is {'missing' if obj is None else 'still there'}"
        elif obj is not None and obj["metadata"]["resourceVersion"] != str(revision):
            yield f"{storage} {namespace}/{name} does not carry revision {revision}"
