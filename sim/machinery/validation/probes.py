"""Probes and lifecycle hooks.

Source: k8s.io/kubernetes/pkg/apis/core/validation (validateProbe, validateHandler, validateLifecycle).
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.addresses import is_port, is_port_number
from seatrial.sim.machinery.validation.memo import remembered
from seatrial.sim.machinery.validation.names import header_name
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Check,
    Errors,
    Object,
    at,
    forbidden,
    invalid,
    nonnegative,
    not_supported,
    required,
)
from seatrial.sim.machinery.validation.table import table

SCHEMES = ("HTTP", "HTTPS")


def _exec(value: Object) -> Errors:
    return NONE if value.get("command") else (required("command"),)


def _http_get(value: Object) -> Errors:
    errors: list[FieldError] = []
    if not value.get("path"):
        errors.append(required("path"))
    errors += at("port", is_port(value.get("port", 0)))
    if (value.get("scheme") or "") not in SCHEMES:
        errors.append(not_supported("scheme", value.get("scheme") or "", SCHEMES))
    for header in value.get("httpHeaders") or ():
        name = header.get("name") or ""
        errors += [invalid("httpHeaders", name, text) for text in header_name(name)]
    return errors or NONE


def _tcp_socket(value: Object) -> Errors:
    return at("port", is_port(value.get("port", 0)))


def _grpc(value: Object) -> Errors:
    return at("port", is_port_number(value.get("port") or 0))


def _no_check(value: Any) -> Errors:
    return NONE


PROBE_HANDLERS: tuple[tuple[str, Check], ...] = (
    ("exec", _exec),
    ("httpGet", _http_get),
    ("tcpSocket", _tcp_socket),
    ("grpc", _grpc),
)
HOOK_HANDLERS: tuple[tuple[str, Check], ...] = (*PROBE_HANDLERS[:3], ("sleep", _no_check))


def _handler(value: Object, kinds: tuple[tuple[str, Check], ...]) -> Errors:
    """Exactly one way to act; a second one is refused unseen."""
    errors: list[FieldError] = []
    chosen = ""
    for name, check in kinds:
        action = value.get(name)
        if action is None:
            continue
        if chosen:
            errors.append(forbidden(name, "may not specify more than 1 handler type"))
        else:
            chosen = name
            errors += at(name, check(action))
    if not chosen:
        errors.append(required("", "must specify a handler type"))
    return errors


def _grace_period(value: int) -> Errors:
    return NONE if value > 0 else (invalid("", value, "must be greater than 0"),)


probe = remembered(
    table(
        {
            "": lambda value: _handler(value, PROBE_HANDLERS),
            "initialDelaySeconds": nonnegative,
            "timeoutSeconds": nonnegative,
            "periodSeconds": nonnegative,
            "successThreshold": nonnegative,
            "failureThreshold": nonnegative,
            "terminationGracePeriodSeconds": _grace_period,
        }
    )
)


def _once_probe(value: Object) -> Errors:
    """Liveness and startup: one success is enough."""
    errors = probe(value)
    threshold = value.get("successThreshold", 0)
    if threshold != 1:
        return [*errors, invalid("successThreshold", threshold, "must be 1")]
    return errors


def _readiness(value: Object) -> Errors:
    errors = probe(value)
    grace = value.get("terminationGracePeriodSeconds")
    if grace is not None:
        return [*errors, invalid("terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")]
    return errors


PROBES: tuple[tuple[str, Check], ...] = (
    ("livenessProbe", _once_probe),
    ("readinessProbe", _readiness),
    ("startupProbe", _once_probe),
)


def probes(container: Object) -> Errors:
    errors: list[FieldError] = []
    for name, check in PROBES:
        value = container.get(name)
        if value is not None:
            found = check(value)
            if found:
                errors += at(name, found)
    return errors or NONE


def lifecycle(value: Object, grace_s: int | None) -> Errors:
    """Hooks; a hook that sleeps must be done within the pod's grace period."""
    errors: list[FieldError] = []
    for name in ("postStart", "preStop"):
        hook = value.get(name)
        if hook is None:
            continue
        found = [*_handler(hook, HOOK_HANDLERS)]
        alone = all(hook.get(other) is None for other, _ in HOOK_HANDLERS[:3])
        if alone and hook.get("sleep") is not None and grace_s is not None:
            seconds = hook["sleep"].get("seconds", 0)
            if not 0 <= seconds <= grace_s:
                told = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_s})"
                found.append(invalid("sleep", seconds, told))
        errors += at(name, found)
    return errors or NONE
