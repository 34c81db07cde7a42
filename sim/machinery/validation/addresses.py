"""IP addresses, networks and ports.

Source: k8s.io/apimachinery/pkg/util/validation/ip.go and k8s.io/kubernetes/pkg/apis/core/validation
(ValidateNonSpecialIP).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from seatrial.sim.machinery.validation import names
from seatrial.sim.machinery.validation.problems import NONE, Errors, invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


@lru_cache(maxsize=1 << 14)
def parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if isinstance(address, ipaddress.IPv6Address) and address.scope_id else address


@lru_cache(maxsize=1 << 12)
def network(text: str) -> Network | None:
    """The network of a CIDR; host bits may be set. A prefix length is needed."""
    if "/" not in text or not text.rpartition("/")[2].isdecimal():
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def is_ip(value: str) -> Errors:
    """An address in a field of old: canonical or not, but neither IPv4 in IPv6 nor with leading zeroes."""
    address = parsed(value)
    if address is None:
        detail = NOT_AN_IP
        if _has_leading_zeroes(value):
            detail = "must not have leading 0s"
        return (invalid("", value, detail),)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return (invalid("", value, "must not be an IPv4-mapped IPv6 address"),)
    return NONE


def _has_leading_zeroes(value: str) -> bool:
    parts = value.split(".")
    return (
        len(parts) == 4
        and all(part.isdecimal() for part in parts)
        and any(len(part) > 1 and part[0] == "0" for part in parts)
    )


def is_canonical_ip(value: str) -> Errors:
    found = is_ip(value)
    if not found and str(parsed(value)) != value:
        return (invalid("", value, f'must be in canonical form ("{parsed(value)}")'),)
    return found


def is_cidr(value: str) -> Errors:
    """A network in a field of old; its host bits must be zero and it must not be IPv4 in IPv6."""
    found = network(value)
    if found is None:
        return (invalid("", value, NOT_A_CIDR),)
    address = value.rpartition("/")[0]
    if isinstance(found, ipaddress.IPv6Network) and found.network_address.ipv4_mapped:
        return (invalid("", value, "must not have an IPv4-mapped IPv6 address"),)
    if parsed(address) != found.network_address:
        return (invalid("", value, "must not have bits set beyond the prefix length"),)
    return NONE


def is_not_special(value: str) -> Errors:
    """An address that endpoints and external addresses may have."""
    address = parsed(value)
    if address is None:
        return (invalid("", value, "must be a valid IP address"),)
    if address.is_unspecified:
        return (invalid("", value, f"may not be unspecified ({value})"),)
    if address.is_loopback:
        return (invalid("", value, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),)
    if address.is_link_local:
        return (invalid("", value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),)
    if _link_local_multicast(address):
        text = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        return (invalid("", value, text),)
    return NONE


def _link_local_multicast(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.IPv4Network("224.0.0.0/24")
    return address in ipaddress.IPv6Network("ff02::/16")


def is_dual_stack(values: Sequence[str]) -> bool:
    """Whether there is at least one address, or network, of each family."""
    versions = [_version(value) for value in values]
    return 4 in versions and 6 in versions


def _version(value: str) -> int:
    found = network(value) if "/" in value else parsed(value)
    return found.version if found is not None else 0


def is_ipv6(value: str) -> bool:
    return _version(value) == 6


def is_port(value: Any) -> Errors:
    """A number or, in a string, a name."""
    messages = names.port_name(value) if isinstance(value, str) else names.port_number(value)
    return [invalid("", value, text) for text in messages] if messages else NONE


def is_port_number(value: int) -> Errors:
    return NONE if 1 <= value <= 65535 else (invalid("", value, names.PORT_RANGE),)
