"""The trust anchors that a projected volume takes from ClusterTrustBundles.

Source: k8s.io/kubernetes/pkg/kubelet/clustertrustbundle/manager.go: what several bundles have in common stands once,
in an order that says nothing.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from seatrial.sim.machinery import selectors

Object = Mapping[str, Any]
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s+(.*?)-----END CERTIFICATE-----", re.DOTALL)
NOTHING_MATCHED = "combination of signerName and labelSelector matched zero ClusterTrustBundles"
LINE = 64


class NoAnchors(Exception):
    """``args``: why there are none."""


def anchors(bundles: Iterable[Object], source: Object) -> bytes:
    """PEM of what a ClusterTrustBundleProjection asks for. Raises NoAnchors unless it is optional."""
    name = source.get("name")
    if name is not None:
        chosen = [bundle for bundle in bundles if bundle["metadata"]["name"] == name]
        missing = f'clustertrustbundle.certificates.k8s.io "{name}" not found'
    else:
        matches = selectors.labels(source.get("labelSelector"))
        chosen = [
            bundle
            for bundle in bundles
            if bundle["spec"].get("signerName") == source.get("signerName")
            and matches(bundle["metadata"].get("labels") or {})
        ]
        missing = NOTHING_MATCHED
    if not chosen and not source.get("optional"):
        raise NoAnchors(missing)
    found = {der for bundle in chosen for der in certificates(bundle["spec"]["trustBundle"])}
    return b"".join(pem(der) for der in sorted(found))


def certificates(text: str) -> list[bytes]:
    """The certificates of a PEM text, DER."""
    return [b64decode(b"".join(block.split())) for block in CERTIFICATE.findall(text.encode())]


def pem(der: bytes) -> bytes:
    """A certificate without anything around it."""
    text = b64encode(der)
    lines = b"\n".join(text[start : start + LINE] for start in range(0, len(text), LINE))
    return b"-----BEGIN CERTIFICATE-----\n" + lines + b"\n-----END CERTIFICATE-----\n"
