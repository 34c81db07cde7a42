"""Field errors in Kubernetes' words (k8s.io/apimachinery/pkg/util/validation/field)."""

from __future__ import annotations

from typing import Any, NamedTuple


class FieldError(NamedTuple):
    """One thing wrong with one field.

    ``kind`` is the reason of the cause on the wire (FieldValueRequired, FieldValueInvalid, FieldValueNotSupported,
    FieldValueDuplicate, FieldValueForbidden, FieldValueTooLong, FieldValueTooMany, FieldValueTypeInvalid,
    FieldValueNotFound, InternalError); ``message`` is the text after the path, e.g. ``Required value`` or
    ``Invalid value: "A_": a lowercase RFC 1123 label must consist of …``.
    """

    kind: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def quoted(value: Any) -> str:
    """A value as Go's field errors print it: strings in Go's %q, the rest as JSON."""
    raise NotImplementedError
