"""A server of its own for a benchmark: started with the command line, reached over HTTPS, removed afterwards."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

import yaml

SEATRIAL = Path(sys.executable).parent / "seatrial"


class Server(NamedTuple):
    """Where a server listens and how to prove who one is."""

    name: str
    environment: dict[str, str]
    kubeconfig: Path
    host: str
    port: int
    tls: ssl.SSLContext

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=120)

    def command(self, *words: str) -> str:
        """What a seatrial command prints about this server's cluster."""
        run = subprocess.run([SEATRIAL, *words], env=self.environment, check=True, capture_output=True, text=True)
        return run.stdout


def call(
    connection: http.client.HTTPSConnection,
    method: str,
    path: str,
    body: Any = None,
    accept: str = "application/json",
    content_type: str = "application/json",
) -> bytes:
    """One request on a kept-alive connection. Raises RuntimeError for a refusal."""
    raw = None if body is None else json.dumps(body)
    headers = {"Accept": accept, **({"Content-Type": content_type} if raw is not None else {})}
    connection.request(method, path, raw, headers)
    response = connection.getresponse()
    text = response.read()
    if response.status >= 300:
        raise RuntimeError(f"{method} {path}: {response.status} {text[:200]!r}")
    return text


@contextmanager
def running(*options: str) -> Iterator[Server]:
    """An ephemeral cluster, up for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="seatrial-bench-") as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        environment = {**os.environ, "XDG_STATE_HOME": f"{folder}/state", "XDG_RUNTIME_DIR": folder}
        environment["KUBECONFIG"] = str(kubeconfig)
        up = [SEATRIAL, "up", "bench", "--ephemeral", "--kubeconfig", kubeconfig, *options]
        started = subprocess.run(up, env=environment, check=False, capture_output=True, text=True)
        if started.returncode:
            raise RuntimeError(f"the server did not start: {started.stderr}")
        try:
            yield _connected(kubeconfig, environment)
        finally:
            subprocess.run([SEATRIAL, "destroy", "bench", "--yes"], env=environment, check=True, capture_output=True)


def _connected(kubeconfig: Path, environment: dict[str, str]) -> Server:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    files = {}
    for name, holder in (("certificate-authority", cluster), ("client-certificate", user), ("client-key", user)):
        path = kubeconfig.parent / name
        path.write_bytes(base64.b64decode(holder[f"{name}-data"]))
        files[name] = str(path)
    tls = ssl.create_default_context(cafile=files["certificate-authority"])
    tls.load_cert_chain(files["client-certificate"], files["client-key"])
    address = urlparse(cluster["server"])
    assert address.hostname is not None and address.port is not None
    return Server("bench", environment, kubeconfig, address.hostname, address.port, tls)
