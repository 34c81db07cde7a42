"""Formats of names and other short strings, each with upstream's texts for what is wrong.

A format is a function of a string that returns the texts; none when the string is right. Formats are remembered per
string, since clusters use few distinct ones.

Source: k8s.io/apimachinery/pkg/util/validation, k8s.io/apimachinery/pkg/api/validate/content and
k8s.io/apimachinery/pkg/api/validation/path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from seatrial.sim.machinery.validation.problems import NONE, Errors, in_range, invalid, required, texts

Texts = tuple[str, ...]
Format = Callable[[str], Texts]

REMEMBERED = 1 << 14
"""Strings whose verdict is kept, per format."""


def pattern(text: str, shape: str, *examples: str) -> str:
    """A text with its regular expression, as upstream words it (RegexError)."""
    if not examples:
        return f"{text} (regex used for validation is '{shape}')"
    listed = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {listed}regex used for validation is '{shape}')"


def _bytes(most: int) -> str:
    return f"must be no more than {most} bytes"


def _characters(most: int) -> str:
    return f"must be no more than {most} characters"


def _shaped(shape: str, text: str, examples: Sequence[str], most: int = 0, too_long: str = "") -> Format:
    compiled = re.compile(shape)
    wrong = pattern(text, shape, *examples)

    @lru_cache(maxsize=REMEMBERED)
    def check(value: str) -> Texts:
        found: Texts = ()
        if most and len(value.encode()) > most:
            found = (too_long or _bytes(most),)
        return found if compiled.fullmatch(value) else (*found, wrong)

    return check


LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = f"({QUALIFIED})?"

_label = _shaped(
    LABEL,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character",
    ("my-name", "123-abc"),
    63,
)
subdomain = _shaped(
    SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character",
    ("example.com",),
    253,
)
_whole_subdomain = re.compile(SUBDOMAIN).fullmatch


@lru_cache(maxsize=REMEMBERED)
def label(value: str) -> Texts:
    """A DNS label; a subdomain only has too many dots."""
    found = _label(value)
    return (*found[:-1], "must not contain dots") if found and "." in value and _whole_subdomain(value) else found


_UNDERSCORE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
subdomain_with_underscore = _shaped(
    rf"{_UNDERSCORE_LABEL}(\.{_UNDERSCORE_LABEL})*",
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character",
    ("example.com",),
    253,
    _characters(253),
)
label_1035 = _shaped(
    "[a-z]([-a-z0-9]*[a-z0-9])?",
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    ("my-name", "abc-123"),
    63,
    _characters(63),
)
wildcard_subdomain = _shaped(
    rf"\*\.{SUBDOMAIN}",
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    ("*.example.com",),
    253,
    _characters(253),
)
label_value = _shaped(
    LABEL_VALUE,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character",
    ("MyValue", "my_value", "12345"),
    63,
)
_name_part = _shaped(
    QUALIFIED,
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    ("MyName", "my.name", "123-abc"),
    63,
)
_NAME_PART_TEXT = _name_part("!")[0]
header_name = _shaped(
    "[-A-Za-z0-9]+", "a valid HTTP header must consist of alphanumeric characters or '-'", ("X-Header-Name",)
)
percent = _shaped("[0-9]+%", "a valid percent string must be a numeric string followed by an ending '%'", ("1%", "93%"))
sysctl_name = _shaped(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?", "", ())
c_identifier = _shaped(
    "[A-Za-z_][A-Za-z0-9_]*",
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
    "characters or '_'",
    ("my_name", "MY_NAME", "MyName"),
)


@lru_cache(maxsize=REMEMBERED)
def qualified_name(value: str) -> Texts:
    """``name`` or ``prefix/name``: label keys, taints, conditions, resources."""
    parts = value.split("/")
    found: list[str] = []
    if len(parts) > 2:
        return (
            f"a qualified name {_NAME_PART_TEXT} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')",
        )
    name = parts[-1]
    if len(parts) == 2:
        if not parts[0]:
            found.append("prefix part must be non-empty")
        else:
            found += [f"prefix part {text}" for text in subdomain(parts[0])]
    if not name:
        found.append("name part must be non-empty")
    return (*found, *(f"name part {text}" for text in _name_part(name)))


@lru_cache(maxsize=REMEMBERED)
def config_key(value: str) -> Texts:
    """A key of a ConfigMap or Secret."""
    found: list[str] = []
    if len(value.encode()) > 253:
        found.append(_characters(253))
    if not _CONFIG_KEY.fullmatch(value):
        found.append(_CONFIG_KEY_WRONG)
    if value == ".":
        found.append("must not be '.'")
    elif value == "..":
        found.append("must not be '..'")
    elif value.startswith(".."):
        found.append("must not start with '..'")
    return tuple(found)


_CONFIG_KEY = re.compile("[-._a-zA-Z0-9]+")
_CONFIG_KEY_WRONG = pattern(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "[-._a-zA-Z0-9]+",
    "key.name",
    "KEY_NAME",
    "key-name",
)


@lru_cache(maxsize=REMEMBERED)
def env_name(value: str) -> Texts:
    """An environment variable: printable ASCII without '=' (IsRelaxedEnvVarName)."""
    if not value:
        return ("environment variable name must be non-empty",)
    if all(" " <= character <= "~" and character != "=" for character in value):
        return ()
    return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)


@lru_cache(maxsize=REMEMBERED)
def port_name(value: str) -> Texts:
    """The name of a port, as RFC 6335 has service names."""
    found: list[str] = []
    if len(value) > 15:
        found.append(_characters(15))
    if not _PORT_CHARACTERS.fullmatch(value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= character <= "z" for character in value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        found.append("must not begin or end with a hyphen")
    return tuple(found)


_PORT_CHARACTERS = re.compile("[-a-z0-9]+")


PORT_RANGE = in_range(1, 65535)


def port_number(value: int) -> Texts:
    return () if 1 <= value <= 65535 else (PORT_RANGE,)


@lru_cache(maxsize=REMEMBERED)
def path_segment(value: str) -> Texts:
    """A name that may stand between two slashes of a URL: RBAC objects, references."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{character}'" for character in "/%" if character in value)


def is_domain_prefixed_path(value: str) -> Errors:
    """``acme.io/foo``: controllers, managers."""
    if not value:
        return (required(""),)
    domain, _, path = value.partition("/")
    if not domain or not path:
        return (invalid("", value, 'must be a domain-prefixed path (such as "acme.io/foo")'),)
    wrong = [invalid("", domain, text) for text in subdomain(domain)]
    if not _HTTP_PATH.fullmatch(path):
        wrong.append(invalid("", path, pattern("Invalid path", _HTTP_PATH.pattern)))
    return wrong


_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")


def is_fully_qualified_name(value: str) -> Errors:
    """A domain of three parts or more, as webhooks are called."""
    if not value:
        return (required(""),)
    wrong = subdomain(value)
    if wrong:
        return (invalid("", value, ",".join(wrong)),)
    if value.count(".") < 2:
        return (invalid("", value, "should be a domain with at least three segments separated by dots"),)
    return NONE


def identity(value: int) -> Texts:
    """A user or group number."""
    return () if 0 <= value <= 2147483647 else (in_range(0, 2147483647),)


is_label = texts(label)
is_subdomain = texts(subdomain)
is_qualified_name = texts(qualified_name)
is_label_value = texts(label_value)
is_config_key = texts(config_key)
is_path_segment = texts(path_segment)
