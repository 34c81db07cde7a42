"""From a kubeconfig to an HTTP client that proves who it is by its certificate."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import httpx
import yaml

from tests.e2e.conftest import DEADLINE_S


def client_of(kubeconfig: Path) -> httpx.Client:
    """A client for the first cluster of a kubeconfig that Seatrial wrote."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    tls = ssl.create_default_context(cadata=authority)
    pair = kubeconfig.with_suffix(".pem")
    pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    tls.load_cert_chain(pair)
    return httpx.Client(base_url=cluster["server"], verify=tls, timeout=DEADLINE_S)
