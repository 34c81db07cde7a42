"""Paths in file systems, and permission bits.

Source: k8s.io/kubernetes/pkg/apis/core/validation (validateLocalDescendingPath, ValidateLocalNonReservedPath).
"""

from __future__ import annotations

from seatrial.sim.machinery.validation.problems import NONE, Errors, invalid


def no_backsteps(value: str) -> Errors:
    return (invalid("", value, "must not contain '..'"),) if ".." in value.split("/") else NONE


def descending_path(value: str) -> Errors:
    """A relative path that stays below where it starts."""
    found = no_backsteps(value)
    if value.startswith("/"):
        return [invalid("", value, "must be a relative path"), *found]
    return found


def local_path(value: str) -> Errors:
    """A descending path in which no name begins with two dots (they belong to the kubelet)."""
    found = descending_path(value)
    if value.startswith("..") and not value.startswith("../"):
        return [*found, invalid("", value, "must not start with '..'")]
    return found


def file_mode(value: int) -> Errors:
    if 0 <= value <= 0o777:
        return NONE
    return (invalid("", value, "must be a number between 0 and 0777 (octal), both inclusive"),)
