"""Kinds that ``describe`` knows nothing of: every field, its name taken apart into words.

Source: k8s.io/kubectl/pkg/describe (genericDescriber, printUnstructuredContent, smartLabelFor).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl.describing.workloads import Found
from seatrial.scenarios.kubectl.describing.writer import Writer, annotated, events, labels
from seatrial.scenarios.kubectl.gotemplate import shown

SKIPPED = frozenset(
    {".metadata.managedFields", ".metadata.name", ".metadata.namespace", ".metadata.labels", ".metadata.annotations"}
)
ACRONYMS = {"API", "URL", "UID", "OSB", "GUID"}
WORDS = re.compile(r"URLs|[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z]+|[A-Z]+|[a-z]+|\d+|[^A-Za-z\d]+")


def describe(w: Writer, found: Found) -> None:
    obj = found.object
    metadata = obj["metadata"]
    w.line(0, "Name:", metadata.get("name", ""))
    w.line(0, "Namespace:", metadata.get("namespace", ""))
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    content(w, 0, obj, "")
    events(w, found.events())


def content(w: Writer, level: int, value: Mapping[str, Any], path: str) -> None:
    """Every field of a value."""
    for field in sorted(value):
        each, where = value[field], f"{path}.{field}"
        if where in SKIPPED:
            continue
        if isinstance(each, Mapping):
            w.write(level, f"{label(field)}:\n")
            content(w, level + 1, each, where)
        elif isinstance(each, Sequence) and not isinstance(each, str):
            w.write(level, f"{label(field)}:\n")
            for item in each:
                if isinstance(item, Mapping):
                    content(w, level + 1, item, where)
                else:
                    w.write(level + 1, f"{shown(item)}\n")
        else:
            w.line(level, f"{label(field)}:", "<nil>" if each is None else shown(each))


def label(field: str) -> str:
    """``creationTimestamp`` as ``Creation Timestamp``."""
    if field.lower() in ("openapiv3schema",):
        return field
    parts = WORDS.findall(field)
    out = []
    for part in parts:
        if part == "_":
            continue
        if part.upper() in ACRONYMS:
            part = part.upper()
        else:
            part = part[:1].upper() + part[1:]
        out.append(part)
    return " ".join(out)
