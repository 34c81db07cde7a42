"""ServiceAccount tokens: issued as signed JWTs, reviewed when they come back; bootstrap tokens; token secrets.

Source: k8s.io/kubernetes/pkg/serviceaccount (claims.go, jwt.go, legacy.go) and
k8s.io/kubernetes/plugin/pkg/auth/authenticator/token/bootstrap.

The signing key follows from the cluster's seed, so that a replay issues the same tokens; tokens are signed with ES256
and RFC 6979's deterministic nonces.

Not modelled: RS256 keys and several keys at once. A client that verifies through /openid/v1/jwks sees one EC key.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from seatrial.sim.apiserver.authentication import service_account
from seatrial.sim.apiserver.request import User
from seatrial.sim.kernel.clock import Clock, parse_stamp, stamp_of
from seatrial.sim.kernel.streams import Streams, uid_from
from seatrial.sim.store.store import Store

Object = Mapping[str, Any]

ISSUER = "https://kubernetes.default.svc.cluster.local"
"""--service-account-issuer, and the only audience the API server itself accepts (--api-audiences)."""
SECOND_US = 1_000_000
COORDINATE_BYTES = 32
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
WARN_AFTER_S = 3607
"""A pod's token of this length is a legacy one stretched to a year (--service-account-extend-token-expiration)."""
EXTENDED_S = 365 * 24 * 3600
BOOTSTRAP_TYPE = "bootstrap.kubernetes.io/token"
BOOTSTRAP_GROUP = "system:bootstrappers"
PRIVATE = "kubernetes.io"


class Binding(NamedTuple):
    """The object that a token dies with: a pod, secret or node."""

    kind: str
    name: str
    uid: str


class Verdict(NamedTuple):
    """What a review finds: the owner and the audiences that the token is good for."""

    user: User
    audiences: tuple[str, ...]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Tokens:
    """Issues and reviews the cluster's bearer tokens."""

    def __init__(self, store: Store, clock: Clock, streams: Streams) -> None:
        self._store = store
        self._clock = clock
        self._streams = streams

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        scalar = self._streams("apiserver/token-key").getrandbits(256) % (P256_ORDER - 1) + 1
        return ec.derive_private_key(scalar, ec.SECP256R1())

    @cached_property
    def jwks(self) -> dict[str, Any]:
        """The public key, as /openid/v1/jwks shows it."""
        numbers = self._key.public_key().public_numbers()
        x, y = (_encode(value.to_bytes(COORDINATE_BYTES, "big")) for value in (numbers.x, numbers.y))
        thumbprint = orjson.dumps({"crv": "P-256", "kty": "EC", "x": x, "y": y})
        kid = _encode(hashlib.sha256(thumbprint).digest())
        return {"keys": [{"use": "sig", "kty": "EC", "kid": kid, "crv": "P-256", "alg": "ES256", "x": x, "y": y}]}

    def issue(
        self,
        account: Object,
        audiences: Sequence[str],
        expiration_s: int,
        bound: Binding | None,
        node: Object | None = None,
    ) -> tuple[str, str]:
        """(token, expirationTimestamp) of a TokenRequest for a ServiceAccount."""
        now_s = self._clock.now // SECOND_US
        metadata = account["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        private: dict[str, Any] = {"namespace": namespace}
        if bound is not None and bound.kind == "Node":
            private["node"] = {"name": bound.name, "uid": bound.uid}
        elif bound is not None:
            private[bound.kind.lower()] = {"name": bound.name, "uid": bound.uid}
            if node is not None:
                private["node"] = {"name": node["metadata"]["name"], "uid": node["metadata"]["uid"]}
        private["serviceaccount"] = {"name": name, "uid": metadata["uid"]}
        lasts_s = expiration_s
        if expiration_s == WARN_AFTER_S and bound is not None and bound.kind == "Pod" and list(audiences) == [ISSUER]:
            lasts_s = EXTENDED_S
            private["warnafter"] = now_s + expiration_s
        claims = {
            "aud": list(audiences),
            "exp": now_s + lasts_s,
            "iat": now_s,
            "iss": ISSUER,
            "jti": uid_from(self._streams("apiserver/token-ids")),
            "kubernetes.io": private,
            "nbf": now_s,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        return self.sign(claims), stamp_of((now_s + expiration_s) * SECOND_US)

    def legacy(self, account: Object, secret: Object) -> str:
        """The token without end that a secret of type kubernetes.io/service-account-token holds."""
        metadata = account["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        prefix = "kubernetes.io/serviceaccount"
        claims = {
            "iss": prefix,
            f"{prefix}/namespace": namespace,
            f"{prefix}/secret.name": secret["metadata"]["name"],
            f"{prefix}/service-account.name": name,
            f"{prefix}/service-account.uid": metadata["uid"],
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        return self.sign(claims)

    def sign(self, claims: Mapping[str, Any]) -> str:
        header = {"alg": "ES256", "kid": self.jwks["keys"][0]["kid"]}
        signed = f"{_encode(orjson.dumps(header))}.{_encode(orjson.dumps(claims))}"
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(self._key.sign(signed.encode(), algorithm))
        return f"{signed}.{_encode(r.to_bytes(COORDINATE_BYTES, 'big') + s.to_bytes(COORDINATE_BYTES, 'big'))}"

    def review(self, token: str) -> User | None:
        """The owner of a token that is good for the API server itself; None for any other."""
        verdict = self.verdict(token, (ISSUER,))
        return verdict.user if verdict is not None else None

    def verdict(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        """The owner of a token and which of the audiences it is good for; None when it is good for none."""
        if token.count(".") == 1:
            user = self._bootstrap(token)
            return Verdict(user, (ISSUER,)) if user is not None and ISSUER in audiences else None
        claims = self._verified(token)
        if claims is None:
            return None
        if claims.get("iss") != ISSUER:
            user = self._legacy_owner(claims, token)
            return Verdict(user, (ISSUER,)) if user is not None and ISSUER in audiences else None
        shared = tuple(audience for audience in claims["aud"] if audience in audiences)
        user = self._bound_owner(claims) if shared else None
        return Verdict(user, shared) if user is not None else None

    def _verified(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that this cluster signed."""
        try:
            header, payload, signature = token.split(".")
            raw = _decode(signature)
            half = len(raw) // 2
            pair = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
            self._key.public_key().verify(pair, f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
            claims = orjson.loads(_decode(payload))
        except (ValueError, InvalidSignature):
            return None
        return claims if isinstance(claims, dict) else None

    def _bound_owner(self, claims: Mapping[str, Any]) -> User | None:
        now_s = self._clock.now // SECOND_US
        if not claims["nbf"] <= now_s <= claims["exp"]:
            return None
        private = claims[PRIVATE]
        namespace, account = private["namespace"], private["serviceaccount"]
        if not self._alive("serviceaccounts", namespace, account):
            return None
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        for kind, plural in (("pod", "pods"), ("secret", "secrets")):
            if kind in private and not self._alive(plural, namespace, private[kind]):
                return None
        if "pod" in private:
            extra["authentication.kubernetes.io/pod-name"] = (private["pod"]["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (private["pod"]["uid"],)
        if "node" in private:
            if "pod" not in private and not self._alive("nodes", "", private["node"]):
                return None
            extra["authentication.kubernetes.io/node-name"] = (private["node"]["name"],)
            extra["authentication.kubernetes.io/node-uid"] = (private["node"]["uid"],)
        return service_account(namespace, account["name"], account["uid"], extra)

    def _alive(self, storage: str, namespace: str, reference: Mapping[str, str]) -> bool:
        found = self._store.get(storage, namespace, reference["name"])
        if found is None or found["metadata"]["uid"] != reference["uid"]:
            return False
        deleted = found["metadata"].get("deletionTimestamp")
        # A bound object that is going away keeps its tokens for a minute (claims.go, 60 s of leeway).
        return deleted is None or parse_stamp(deleted) + 60 * SECOND_US > self._clock.now

    def _legacy_owner(self, claims: Mapping[str, Any], token: str) -> User | None:
        prefix = "kubernetes.io/serviceaccount"
        namespace = claims.get(f"{prefix}/namespace", "")
        secret = self._store.get("secrets", namespace, claims.get(f"{prefix}/secret.name", ""))
        if secret is None or (secret.get("data") or {}).get("token") != base64.b64encode(token.encode()).decode():
            return None
        name, uid = claims[f"{prefix}/service-account.name"], claims[f"{prefix}/service-account.uid"]
        if not self._alive("serviceaccounts", namespace, {"name": name, "uid": uid}):
            return None
        return service_account(namespace, name, uid)

    def _bootstrap(self, token: str) -> User | None:
        """The owner of a kubeadm token, ``ID.SECRET``, as its secret in kube-system says."""
        token_id, _, token_secret = token.partition(".")
        secret = self._store.get("secrets", "kube-system", f"bootstrap-token-{token_id}")
        if secret is None or secret.get("type") != BOOTSTRAP_TYPE or "deletionTimestamp" in secret["metadata"]:
            return None
        data = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
        if data.get("token-id") != token_id or data.get("token-secret") != token_secret:
            return None
        if data.get("usage-bootstrap-authentication") != "true":
            return None
        if data.get("expiration") and parse_stamp(data["expiration"]) <= self._clock.now:
            return None
        extra = tuple(group.strip() for group in data.get("auth-extra-groups", "").split(",") if group.strip())
        return User(f"system:bootstrap:{token_id}", (BOOTSTRAP_GROUP, *extra))
