"""The OpenAPI documents that the server publishes: v2 in one piece, v3 by group and version.

Source: k8s.io/kube-openapi/pkg/{handler,handler3}. The documents of the built-in groups are those that the types were
compiled from; custom groups add theirs to ``Kinds.documents``.

Not modelled: the protobuf form of the v3 documents; clients that ask for nothing else are told 406.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from seatrial.sim.machinery import gnostic, schema
from seatrial.sim.machinery.kinds import Documented, Kinds


class Documents:
    """The documents of one table of kinds at one time."""

    def __init__(self, custom: Mapping[str, Documented]) -> None:
        self._custom = dict(custom)
        self._texts: dict[str, bytes] = {}

    def hash(self, path: str) -> str | None:
        """The hash that a v3 document's address carries; None where there is no document."""
        if path in self._custom:
            return digest(self.v3(path) or b"")
        place = schema.data("openapi_v3").get(path)
        return None if place is None else str(place[2])

    def paths(self) -> list[str]:
        """Where there are v3 documents: api/v1, apis/apps/v1, version, …"""
        return sorted({**schema.data("openapi_v3"), **self._custom})

    def v3(self, path: str) -> bytes | None:
        """One v3 document."""
        if path in self._custom:
            if path not in self._texts:
                self._texts[path] = orjson.dumps(self._custom[path].v3) + b"\n"
            return self._texts[path]
        place = schema.data("openapi_v3").get(path)
        if place is None:
            return None
        offset, length, _ = place
        return gzip.decompress(schema.data_bytes("openapi_v3.gz")[offset : offset + length])

    def v2(self) -> bytes:
        """The v2 document, with what custom groups add to it."""
        text = gzip.decompress(schema.data_bytes("openapi_v2.json.gz"))
        if not self._custom:
            return text
        document: dict[str, Any] = orjson.loads(text)
        for part in self._custom.values():
            document["paths"] = {**document["paths"], **part.paths}
            document["definitions"] = {**document["definitions"], **part.definitions}
        return orjson.dumps(document)

    def v2_protobuf(self) -> bytes:
        """The same in protobuf: what custom groups add is merged into what stands before it."""
        raw = gzip.decompress(schema.data_bytes("openapi_v2.pb.gz"))
        added = [
            gnostic.document({"paths": part.paths, "definitions": part.definitions}) for part in self._custom.values()
        ]
        return b"".join((raw, *added))

    def index(self) -> dict[str, Any]:
        """What /openapi/v3 answers."""
        return {"paths": {path: {"serverRelativeURL": self.address(path)} for path in self.paths()}}

    def address(self, path: str) -> str:
        """A v3 document's address; the hash in it lets clients keep the document for good."""
        return f"/openapi/v3/{path}?hash={self.hash(path)}"


def digest(raw: bytes) -> str:
    """A document's hash as it stands in addresses and ETags."""
    return hashlib.sha512(raw).hexdigest().upper()


def documents(kinds: Kinds) -> Documents:
    """The documents of a cluster's kinds as they are now."""
    return kinds.remembered("openapi", lambda: Documents(kinds.documents))
