"""What programs that ask for names write."""

from __future__ import annotations

import pytest

from seatrial.sim.workloads.commands.resolving import shown


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("A", "10.96.0.10", "10.96.0.10"),
        ("CNAME", "foo.example.com", "foo.example.com."),
        ("PTR", "kubernetes.default.svc.cluster.local.", "kubernetes.default.svc.cluster.local."),
        ("SRV", "0 100 80 web.default.svc.cluster.local", "0 100 80 web.default.svc.cluster.local."),
        ("TXT", '"dns-version=1.1.0"', '"dns-version=1.1.0"'),
    ],
)
def test_dig_writes_whole_names(kind: str, value: str, text: str) -> None:
    assert shown(kind, value) == text
