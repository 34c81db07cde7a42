"""agnhost test-service-account-issuer-discovery: is a pod's token what the API server's discovery says it is?"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from seatrial.sim.workloads.agnhost.site import ask, flags, log
from seatrial.sim.workloads.process import Proc

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def issuer_discovery(proc: Proc, words: list[str]) -> int:
    """Exit code 0 when the token at --token-path is the issuer's and meant for --audience."""
    options = flags(words)
    try:
        token = proc.fs.read(options.get("token-path", ""), proc.cwd).decode().strip()
        log(proc, "OK: Got token")
        log(proc, "validating with in-cluster discovery")
        header, claims, signature = token.split(".")
        said: Mapping[str, Any] = json.loads(_decoded(claims))
        log(proc, f"OK: got issuer {said['iss']}")
        bearer = {"Authorization": f"Bearer {proc.fs.read(ACCOUNT).decode().strip()}"}
        found = json.loads(_get(proc, f"{said['iss']}/.well-known/openid-configuration", bearer))
        if found["issuer"] != said["iss"]:
            raise ValueError(f"oidc: issuer did not match the issuer returned by provider, got {found['issuer']}")
        log(proc, f"OK: Constructed OIDC provider for issuer {said['iss']}")
        keys = json.loads(_get(proc, found["jwks_uri"], bearer, urlsplit(said["iss"]).hostname or ""))["keys"]
        kid = json.loads(_decoded(header)).get("kid")
        _verify(next(key for key in keys if key["kid"] == kid), f"{header}.{claims}".encode(), _decoded(signature))
        log(proc, "OK: Validated signature on JWT")
        if options.get("audience") not in said["aud"]:
            raise ValueError(f"oidc: expected audience {options.get('audience')} got {said['aud']}")
        log(proc, "OK: Got valid claims from token!")
    except (OSError, ValueError, KeyError, StopIteration, InvalidSignature) as problem:
        log(proc, f"failed to validate with in-cluster discovery: {problem}")
        return 1
    return 0


def _get(proc: Proc, url: str, headers: Mapping[str, str], host: str = "") -> str:
    """Over HTTPS; ``host`` where the URL names an address of the machine that only the outside knows."""
    parts = urlsplit(url)
    return ask(proc, host or parts.hostname or "", 443, parts.path, headers)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _verify(key: Mapping[str, str], signed: bytes, signature: bytes) -> None:
    """ES256. Raises InvalidSignature."""
    x, y = (int.from_bytes(_decoded(key[name])) for name in ("x", "y"))
    half = len(signature) // 2
    pair = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(pair, signed, ec.ECDSA(hashes.SHA256()))
