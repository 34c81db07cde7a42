"""What two control planes never agree on, made equal before answers are compared: identities, times, addresses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

MASKED_KEYS = frozenset(
    [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "time",
        "startTime",
        "completionTime",
        "lastTransitionTime",
        "lastUpdateTime",
        "lastProbeTime",
        "lastHeartbeatTime",
        "renewTime",
        "acquireTime",
        "clusterIP",
        "clusterIPs",
        "nodePort",
        "expirationTimestamp",
        "firstTimestamp",
        "lastTimestamp",
        "eventTime",
        "token",
        "continue",
        "batch.kubernetes.io/controller-uid",
        "controller-uid",
        "lastScheduleTime",
        "lastSuccessfulTime",
        "healthCheckNodePort",
        "remainingItemCount",
    ]
)
SHUFFLED = frozenset({"causes", "resourceRules", "nonResourceRules"})
"""Lists that the real server fills in the random order of a Go map."""
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
CLUSTER_IP = re.compile(r"\b(?:10\.\d+|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b")
GENERATED = re.compile(r"\b(kube-api-access|g)-[bcdfghjklmnpqrstvwxz2456789]{5}\b")
AGE = re.compile(r"(\d+[smhdy])+|<invalid>")
VERSION = re.compile(r'(resourceVersion: |current: )"?\d+"?')
GO_TYPE = re.compile(r"(cannot unmarshal \w+) into Go .*")
LISTED = re.compile(r"\[(.+)\]", re.DOTALL)
PATTERNS = (
    (UID, "<uid>"),
    (TIME, "<time>"),
    (CLUSTER_IP, "<ip>"),
    (GENERATED, r"\1-<generated>"),
    (VERSION, r"\1<masked>"),
    (GO_TYPE, r"\1"),
)


def masked(value: Any, key: str = "") -> Any:
    """The value with placeholders; ``key`` is the field that it is the value of."""
    if key in MASKED_KEYS:
        return value if value in (None, "") else "<masked>"
    if isinstance(value, dict):
        return {UID.sub("<uid>", name): masked(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        if key in SHUFFLED:
            return sorted((masked(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
        return ["<age>" if key == "cells" and _is_age(inner) else masked(inner) for inner in value]
    if isinstance(value, str):
        for pattern, replacement in PATTERNS:
            value = pattern.sub(replacement, value)
        if key == "message":
            value = LISTED.sub(lambda found: f"[{', '.join(sorted(found[1].split(', ')))}]", value)
    return value


def _is_age(value: Any) -> bool:
    return isinstance(value, str) and AGE.fullmatch(value) is not None


def differences(want: Any, got: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(field path, wanted, got) wherever two masked values differ."""
    both_numbers = isinstance(want, int | float) and isinstance(got, int | float)
    if type(want) is not type(got) and not both_numbers:
        yield path, want, got
    elif isinstance(want, dict):
        for name in sorted({**want, **got}):
            if name not in want:
                yield f"{path}.{name}", "<absent>", got[name]
            elif name not in got:
                yield f"{path}.{name}", want[name], "<absent>"
            else:
                yield from differences(want[name], got[name], f"{path}.{name}")
    elif isinstance(want, list):
        if len(want) != len(got):
            yield f"{path}[len]", len(want), len(got)
        for index, (one, other) in enumerate(zip(want, got, strict=False)):
            yield from differences(one, other, f"{path}[{index}]")
    elif want != got:
        yield path, want, got
