"""Functions over URLs, IP addresses and CIDR blocks.

Source: k8s.io/apiserver/pkg/cel/library (urls.go, ip.go, cidr.go), Go's net/url and net/netip.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from seatrial.sim.machinery.cel.declarations import Cost, Overload, fixed, overload, scaled, traversal, traversal_twice
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.values import Opaque, size_of

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Block = ipaddress.IPv4Network | ipaddress.IPv6Network


class Url(Opaque):
    """A parsed URL; the key is its text taken apart."""

    __slots__ = ()
    type_name = "kubernetes.URL"


class Ip(Opaque):
    """An address."""

    __slots__ = ()
    type_name = "net.IP"

    @property
    def size(self) -> int:
        """Bytes."""
        return len(bytes(self.key.packed))


class Cidr(Opaque):
    """An address with the length of its prefix; host bits may be set."""

    __slots__ = ()
    type_name = "net.CIDR"

    @property
    def size(self) -> int:
        """Bytes of the prefix."""
        return int(-(-self.key[1] // 8))


# URLs


def _parsed(text: str) -> SplitResult | None:
    if not text or any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    absolute = bool(parts.scheme) and not text.startswith(f"{parts.scheme}:?")
    if not (absolute or text.startswith("/")) or " " in parts.netloc:
        return None
    return parts


def url(text: str) -> Url:
    parts = _parsed(text)
    if parts is None:
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return Url(parts)


def _host(value: Url) -> str:
    return str(value.key.netloc.rpartition("@")[2])


def _hostname(value: Url) -> str:
    host = _host(value)
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _port(value: Url) -> str:
    host = _host(value)
    rest = host.rpartition("]")[2] if host.startswith("[") else host
    return rest.rpartition(":")[2] if ":" in rest else ""


def _query(value: Url) -> dict[str, list[str]]:
    return parse_qs(value.key.query, keep_blank_values=True)


def _escaped_path(value: Url) -> str:
    path = value.key.path
    return path if "%" in path else quote(path, safe="/$&+,:;=@!'()*~")


# addresses


def parse_ip(text: str) -> Address:
    """Raises ValueError with the reason in the library's words."""
    if "%" in text:
        raise ValueError(f'IP address "{text}" with zone value is not allowed')
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(_ip_problem(text)) from None
    if address.version == 6 and address.ipv4_mapped is not None:
        raise ValueError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return address


def _ip_problem(text: str) -> str:
    if not any(c in text for c in ".:"):
        return f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): unable to parse IP'
    problem = "unable to parse IP" if ":" in text else _v4_problem(text)
    return f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): {problem}'


def _v4_problem(text: str) -> str:
    parts = text.split(".")
    for part in parts:
        if not part.isdigit():
            return "unexpected character" if part else "IPv4 field must have at least one digit"
        if len(part) > 1 and part[0] == "0":
            return "IPv4 field has octet with leading zero"
        if int(part) > 255:
            return "IPv4 field has value >255"
    return "IPv4 address too short" if len(parts) < 4 else "IPv4 address too long"


def ip(text: str) -> Ip:
    try:
        return Ip(parse_ip(text))
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def _is(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def call(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, EvaluationError):
            return False
        return True

    return call


def is_canonical(text: str) -> bool:
    return str(ip(text).key) == text


def cidr(text: str) -> Cidr:
    address, slash, length = text.partition("/")
    told = f'network address parse error during conversion from string: netip.ParsePrefix("{text}"): '
    if not slash:
        raise EvaluationError(f"{told}no '/'")
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise EvaluationError(f'{told}ParseAddr("{address}"): unable to parse IP') from None
    if not length.isdigit() or (len(length) > 1 and length[0] == "0"):
        raise EvaluationError(f'{told}bad bits after slash: "{length}"')
    if int(length) > parsed.max_prefixlen:
        raise EvaluationError(f"{told}prefix length out of range")
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Cidr((parsed, int(length)))


def network(value: Cidr) -> Block:
    address, length = value.key
    return ipaddress.ip_network(f"{address}/{length}", strict=False)


def contains_ip(value: Cidr, other: Ip | str) -> bool:
    address = (ip(other) if isinstance(other, str) else other).key
    return address in network(value)


def contains_cidr(value: Cidr, other: Cidr | str) -> bool:
    inner, outer = network(cidr(other) if isinstance(other, str) else other), network(value)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def masked(value: Cidr) -> Cidr:
    block = network(value)
    return Cidr((block.network_address, block.prefixlen))


def _text_of(value: Ip | Cidr) -> str:
    return f"{value.key[0]}/{value.key[1]}" if isinstance(value, Cidr) else str(value.key)


def _contains_ip_cost(parses: bool) -> Cost:
    return lambda args, result: scaled(2 * size_of(args[0])) + (scaled(size_of(args[1])) if parses else 0)


def _contains_cidr_cost(parses: bool) -> Cost:
    def cost(args: Any, result: Any) -> int:
        own = size_of(args[0])
        return scaled(2 * own) + scaled(own) + 1 + (scaled(size_of(args[1])) if parses else 0)

    return cost


ONE = fixed(1)

ADDRESS_TESTS = {
    "isUnspecified": lambda address: address.is_unspecified,
    "isLoopback": lambda address: address.is_loopback,
    "isLinkLocalMulticast": lambda address: (
        address.is_multicast
        and (
            address in ipaddress.ip_network("224.0.0.0/24")
            if address.version == 4
            else address.packed[1] & 0x0F == 0x02
        )
    ),
    "isLinkLocalUnicast": lambda address: address.is_link_local,
    "isGlobalUnicast": lambda address: (
        not address.is_unspecified
        and not address.is_loopback
        and not address.is_multicast
        and not address.is_link_local
        and str(address) != "255.255.255.255"
    ),
}

URL_PARTS: dict[str, tuple[str, Callable[[Url], Any]]] = {
    "getScheme": ("string", lambda value: value.key.scheme),
    "getHost": ("string", _host),
    "getHostname": ("string", _hostname),
    "getPort": ("string", _port),
    "getEscapedPath": ("string", _escaped_path),
    "getQuery": ("map(string, list(string))", _query),
}


def _tests() -> list[Overload]:
    return [
        overload(name, f"ip_{name}", "IP.(): bool", lambda value, test=test: bool(test(value.key)), ONE)
        for name, test in ADDRESS_TESTS.items()
    ]


LIBRARY = (
    overload("url", "string_to_url", "(string): URL", url, traversal),
    overload("isURL", "is_url_string", "(string): bool", _is(url), traversal),
    *(overload(name, f"url_{name}", f"URL.(): {result}", call) for name, (result, call) in URL_PARTS.items()),
    overload("ip", "string_to_ip", "(string): IP", ip, traversal),
    overload("ip", "cidr_ip", "CIDR.(): IP", lambda value: Ip(value.key[0]), ONE),
    overload("isIP", "is_ip", "(string): bool", _is(parse_ip), traversal),
    overload("ip.isCanonical", "ip_is_canonical", "(string): bool", is_canonical, traversal_twice),
    overload("family", "ip_family", "IP.(): int", lambda value: value.key.version, ONE),
    *_tests(),
    overload("string", "ip_to_string", "(IP): string", _text_of),
    overload("cidr", "string_to_cidr", "(string): CIDR", cidr, traversal),
    overload("isCIDR", "is_cidr", "(string): bool", _is(cidr), traversal),
    overload("containsIP", "cidr_contains_ip_string", "CIDR.(string): bool", contains_ip, _contains_ip_cost(True)),
    overload("containsIP", "cidr_contains_ip_ip", "CIDR.(IP): bool", contains_ip, _contains_ip_cost(False)),
    overload(
        "containsCIDR", "cidr_contains_cidr_string", "CIDR.(string): bool", contains_cidr, _contains_cidr_cost(True)
    ),
    overload("containsCIDR", "cidr_contains_cidr", "CIDR.(CIDR): bool", contains_cidr, _contains_cidr_cost(False)),
    overload("prefixLength", "cidr_prefix_length", "CIDR.(): int", lambda value: value.key[1], ONE),
    overload("masked", "cidr_masked", "CIDR.(): CIDR", masked, ONE),
    overload("string", "cidr_to_string", "(CIDR): string", _text_of),
)
