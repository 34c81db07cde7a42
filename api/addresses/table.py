"""The table of addresses: one line for each, with a command to try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.api.addresses.twin import Twin
from seatrial.sim.network.addresses import Reachable


def row(each: Reachable, twin: Twin, proxy: str) -> dict[str, Any]:
    """One line of the table."""
    return {
        "kind": each.kind,
        "name": each.name,
        "behind": each.behind,
        "address": each.address,
        "port": each.port,
        "protocol": each.protocol,
        "twin": f"{twin.host}:{twin.port}" if twin.port else "",
        "note": twin.why,
        "try": example(each, twin, proxy),
    }


def example(each: Reachable, twin: Twin, proxy: str) -> str:
    """A command that reaches it; empty where there is none."""
    if not twin.port:
        return "" if each.protocol == "UDP" else f"curl -x {proxy} {each.scheme}://{each.address}:{each.port}/"
    at = f"{twin.host}:{twin.port}"
    if each.scheme == "dns":
        over = "" if each.protocol == "UDP" else "+tcp "
        return f"dig @{twin.host} -p {twin.port} {over}kubernetes.default.svc.cluster.local"
    if each.scheme == "udp":
        return f"nc -u {twin.host} {twin.port}"
    if each.scheme == "tcp":
        return f"nc {twin.host} {twin.port}"
    flag = "-k " if each.scheme == "https" else ""
    if each.kind != "ingress" or each.name == "*":
        return f"curl {flag}{each.scheme}://{at}/"
    host = each.name.replace("*", "any", 1)
    if each.scheme == "http":
        return f"curl -H 'Host: {host}' http://{at}/"
    return f"curl -k --resolve {host}:{twin.port}:{twin.host} https://{host}:{twin.port}/"


def page(view: Mapping[str, Any]) -> str:
    """The table as text."""
    titles = ("KIND", "NAME", "BEHIND", "ADDRESS", "ON THIS MACHINE", "TRY")
    lines = [titles]
    for each in view["addresses"]:
        twin = each["twin"] or f"none ({each['note']})"
        if each["twin"] and each["note"]:
            twin = f"{twin} ({each['note']})"
        address = f"{each['address']}:{each['port']}" + ("/udp" if each["protocol"] == "UDP" else "")
        lines.append((each["kind"], each["name"], each["behind"], address, twin, each["try"]))
    widths = [max(len(line[at]) for line in lines) for at in range(len(titles))]
    table = "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
    return f"{table}\n\nEvery other address and name of the cluster, through the proxy: curl -x {view['proxy']} http://web.default/\n"
