"""Named formats: format.dns1123Label().validate(x), format.named("uuid").

Source: k8s.io/apiserver/pkg/cel/library (format.go).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from seatrial.sim.machinery.cel import moments
from seatrial.sim.machinery.cel.declarations import REGEX_FACTOR, Overload, overload, scaled
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.network import url
from seatrial.sim.machinery.cel.values import NONE, Opaque, Optional


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


@cache
def formats() -> Mapping[str, Check]:
    """Every format by its name."""
    # Imported late: validation compiles expressions itself.
    from seatrial.sim.machinery.validation import names

    label, subdomain, label_1035 = _texts(names.label), _texts(names.subdomain), _texts(names.label_1035)
    return {
        "dns1123Label": label,
        "dns1123Subdomain": subdomain,
        "dns1035Label": label_1035,
        "qualifiedName": _texts(names.qualified_name),
        "dns1123LabelPrefix": _prefix(label),
        "dns1123SubdomainPrefix": _prefix(subdomain),
        "dns1035LabelPrefix": _prefix(label_1035),
        "labelValue": _texts(names.label_value),
        "uri": _uri,
        "uuid": _uuid,
        "byte": _byte,
        "date": _date,
        "datetime": _date_time,
    }


PATTERNS = {
    "dns1123Label": 30, "dns1123Subdomain": 60, "dns1035Label": 30, "qualifiedName": 60, "dns1123LabelPrefix": 30,
    "dns1123SubdomainPrefix": 60, "dns1035LabelPrefix": 30, "labelValue": 40, "uri": 1103, "uuid": 70, "byte": 84,
    "date": 71, "datetime": 71,
}  # fmt: skip
"""How long each format's pattern is taken to be (MaxRegexSize)."""


def validate(format: NamedFormat, text: str) -> Optional:
    problems = formats()[format.key](text)
    return Optional((list(problems),)) if problems else NONE


def named(name: str) -> Optional:
    return Optional((NamedFormat(name),)) if name in PATTERNS else NONE


def _cost(args: Sequence[Any], result: Any) -> int:
    """As of a search with the format's pattern."""
    format, text = args
    return scaled(1 + len(text)) * scaled(PATTERNS[format.key], REGEX_FACTOR)


def _constants() -> list[Overload]:
    return [
        overload(f"format.{name}", f"format_{name}", "(): NamedFormat", lambda name=name: NamedFormat(name))
        for name in PATTERNS
    ]


LIBRARY = (
    *_constants(),
    overload("format.named", "format_named", "(string): optional(NamedFormat)", named),
    overload("validate", "format_validate", "NamedFormat.(string): optional(list(string))", validate, _cost),
)
