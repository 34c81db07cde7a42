"""Kubernetes' protobuf encoding of the built-in kinds.

Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf and the generated.proto files of k8s.io/api.
"""

from __future__ import annotations

from typing import Any


def decode(raw: bytes) -> dict[str, Any]:
    """An object from its envelope. Raises ValueError."""
    raise ValueError(f"provided data does not appear to be a protobuf message: {raw[:4]!r}")
