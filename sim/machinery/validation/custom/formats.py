"""The formats of strings that a schema may ask for.

Source: k8s.io/kube-openapi/pkg/validation/strfmt and k8s.io/apiextensions-apiserver/pkg/apiserver/validation
(formats.go), which ignores every format that is not in its list (int32, int64, float and double among them).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from urllib.parse import urlsplit

from seatrial.sim.machinery.validation.names import label, subdomain

Fits = Callable[[str], bool]

HOSTNAME = re.compile(
    r"([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]))*"
)
EMAIL = re.compile(r"[^@\s<>\"(),:;\[\]\\]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}")
HEX, DIGIT = "[0-9a-fA-F]", "[0-9]"
DATE_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?",
    re.ASCII,
)
DURATION = re.compile(
    r"(?:(?:\d+(?:\.\d*)?|\.\d+)\s*(?:ns|us|µs|ms|s|m|h|d|w|nanosecond|microsecond|millisecond|second|minute|hour|day|week)s?\s*)+|-?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+|0"
)
RGB = re.compile(r"rgb\((?:\s*(?:25[0-5]|2[0-4]\d|1?\d?\d)\s*,){2}\s*(?:25[0-5]|2[0-4]\d|1?\d?\d)\s*\)")


def _shape(pattern: str) -> Fits:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _uuid(version: str) -> Fits:
    return _shape(
        rf"{HEX}{{8}}-?{HEX}{{4}}-?{version}{HEX}{{3}}-?{'[89abAB]' if version in '45' else HEX}{HEX}{{3}}-?{HEX}{{12}}"
    )


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_date_time(text: str) -> bool:
    shape = DATE_TIME.fullmatch(text)
    return shape is not None and _is_date(shape[1])


def _is_base64(text: str) -> bool:
    try:
        return bool(text) and base64.b64decode(text, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


def _is_uri(text: str) -> bool:
    """What net/url.ParseRequestURI takes: an absolute path or something with a scheme."""
    if not text or any(character <= " " or character == "\x7f" for character in text):
        return False
    try:
        return text.startswith("/") or bool(urlsplit(text).scheme)
    except ValueError:
        return False


def _address(kind: type) -> Fits:
    def fits(text: str) -> bool:
        try:
            return "%" not in text and bool(kind(text))
        except ValueError:
            return False

    return fits


def _is_cidr(text: str) -> bool:
    try:
        return "/" in text and "." not in text.rpartition("/")[2] and bool(ipaddress.ip_interface(text))
    except ValueError:
        return False


def _is_luhn(text: str) -> bool:
    digits = [int(each) for each in reversed(re.sub(r"[ -]", "", text)) if each.isdigit()]
    doubled = [each if at % 2 == 0 else (each * 2 - 9 if each > 4 else each * 2) for at, each in enumerate(digits)]
    return len(digits) in range(13, 20) and sum(doubled) % 10 == 0


def _isbn(length: int) -> Fits:
    def fits(text: str) -> bool:
        digits = re.sub(r"[ -]", "", text)
        if len(digits) != length or not re.fullmatch(r"\d+[\dXx]", digits):
            return False
        numbers = [10 if each in "Xx" else int(each) for each in digits]
        if length == 10:
            return sum(each * (10 - at) for at, each in enumerate(numbers)) % 11 == 0
        return sum(each * (1 if at % 2 == 0 else 3) for at, each in enumerate(numbers)) % 10 == 0

    return fits


FORMATS: Mapping[str, Fits] = {
    "bsonobjectid": _shape(f"{HEX}{{24}}"),
    "uri": _is_uri,
    "email": lambda text: EMAIL.fullmatch(text) is not None,
    "hostname": lambda text: HOSTNAME.fullmatch(text) is not None and len(text) <= 255,
    "ipv4": _address(ipaddress.IPv4Address),
    "ipv6": _address(ipaddress.IPv6Address),
    "cidr": _is_cidr,
    "mac": lambda text: MAC.fullmatch(text) is not None,
    "uuid": _uuid(HEX),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4"),
    "uuid5": _uuid("5"),
    "isbn": lambda text: _isbn(10)(text) or _isbn(13)(text),
    "isbn10": _isbn(10),
    "isbn13": _isbn(13),
    "creditcard": _is_luhn,
    "ssn": _shape(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _shape(f"#?({HEX}{{3}}|{HEX}{{6}})"),
    "rgbcolor": lambda text: RGB.fullmatch(text) is not None,
    "byte": _is_base64,
    "password": lambda text: True,
    "date": _is_date,
    "duration": lambda text: DURATION.fullmatch(text.strip()) is not None,
    "datetime": _is_date_time,
    "k8s-short-name": lambda text: not label(text),
    "k8s-long-name": lambda text: not subdomain(text),
}
"""Format without dashes -> whether a text fits it; the two of Kubernetes keep their dashes."""


def check_of(name: str) -> Fits | None:
    """What checks a format; None for one that the server ignores."""
    return FORMATS.get(name) or FORMATS.get(name.replace("-", ""))
