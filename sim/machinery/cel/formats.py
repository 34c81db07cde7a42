"""Named formats: format.dns1123Label().validate(x), format.named("uuid").

Source: k8s.io/apiserver/pkg/cel/library (format.go).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence

from seatrial.sim.machinery.cel import moments
from seatrial.sim.machinery.cel.declarations import Overload, overload, traversal
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.network import url
from seatrial.sim.machinery.cel.values import NONE, Opaque, Optional
from seatrial.sim.machinery.validation import names


class NamedFormat(Opaque):
    """A format; the key is its name."""

    __slots__ = ()
    type_name = "kubernetes.NamedFormat"


Check = Callable[[str], Sequence[str]]

UUID = re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _prefix(check: Check) -> Check:
    """A name that generateName may begin with: a trailing dash is mended first."""
    return lambda text: check(f"{text[:-1]}a" if text.endswith("-") and len(text) > 1 else text)


def _uri(text: str) -> Sequence[str]:
    try:
        url(text)
    except EvaluationError as error:
        return [error.text.partition("from string: ")[2]]
    return ()


def _uuid(text: str) -> Sequence[str]:
    return () if UUID.fullmatch(text) else ["does not match the UUID format"]


def _byte(text: str) -> Sequence[str]:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ["invalid base64"]
    return ()


def _date(text: str) -> Sequence[str]:
    stamped = DATE.fullmatch(text) and moments.parse_timestamp(f"{text}T00:00:00Z")
    return () if stamped else ["invalid date"]


def _date_time(text: str) -> Sequence[str]:
    return () if moments.parse_timestamp(text) else ["invalid datetime"]


def _texts(check: Callable[[str], Sequence[object]]) -> Check:
    return lambda text: [getattr(problem, "message", None) or str(problem) for problem in check(text)]


FORMATS: dict[str, Check] = {
    "dns1123Label": _texts(names.label),
    "dns1123Subdomain": _texts(names.subdomain),
    "dns1035Label": _texts(names.label_1035),
    "qualifiedName": _texts(names.qualified_name),
    "dns1123LabelPrefix": _prefix(_texts(names.label)),
    "dns1123SubdomainPrefix": _prefix(_texts(names.subdomain)),
    "dns1035LabelPrefix": _prefix(_texts(names.label_1035)),
    "labelValue": _texts(names.label_value),
    "uri": _uri,
    "uuid": _uuid,
    "byte": _byte,
    "date": _date,
    "datetime": _date_time,
}


def validate(format: NamedFormat, text: str) -> Optional:
    problems = FORMATS[format.key](text)
    return Optional((list(problems),)) if problems else NONE


def named(name: str) -> Optional:
    return Optional((NamedFormat(name),)) if name in FORMATS else NONE


def _constants() -> list[Overload]:
    return [
        overload(f"format.{name}", f"format_{name}", "(): NamedFormat", lambda name=name: NamedFormat(name))
        for name in FORMATS
    ]


LIBRARY = (
    *_constants(),
    overload("format.named", "format_named", "(string): optional(NamedFormat)", named),
    overload("validate", "format_validate", "NamedFormat.(string): optional(list(string))", validate, traversal),
)
