"""Numbers that may be percentages (k8s.io/apimachinery/pkg/util/intstr)."""

from __future__ import annotations

import re
from typing import Any

PERCENT = re.compile(r"(-?[0-9]+)%")


def scaled(value: Any, total: int, round_up: bool) -> int:
    """``value`` itself, or its percentage of ``total``. Raises ValueError for a text that is no percentage."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    match = PERCENT.fullmatch(value)
    if match is None:
        raise ValueError("invalid value for IntOrString: invalid type: string is not a percentage")
    share = int(match[1]) * total
    return -(-share // 100) if round_up else share // 100
