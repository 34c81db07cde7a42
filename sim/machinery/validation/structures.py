"""Differences between two structures, as an error shows them.

Upstream prints both values as their internal Go types (``golang``), indented, and what a unified diff says of the two.

Source: k8s.io/apimachinery/pkg/util/diff.
"""

from __future__ import annotations

import difflib
import json
from typing import Any

from seatrial.sim.machinery.fields import HTML
from seatrial.sim.machinery.validation.golang import internal_form


def difference(old: Any, new: Any, type_name: str) -> str:
    """The lines that differ, with three lines around each."""
    before, after = _lines(old, type_name), _lines(new, type_name)
    return "".join(list(difflib.unified_diff(before, after, n=3))[2:])


def _lines(value: Any, type_name: str) -> list[str]:
    text = json.dumps(internal_form(value, type_name), indent=1, ensure_ascii=False).translate(HTML)
    return [f"{line}\n" for line in text.split("\n")]
