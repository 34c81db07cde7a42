"""Random objects of any type of the API, drawn from the schema itself."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from seatrial.sim.kernel.clock import micro_stamp_of, stamp_of
from seatrial.sim.machinery.schema import Field, Type

DEPTH_MAX = 5
FIELDS_MAX = 6
YEAR_9999_US = 253_402_300_799_000_000
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
KEYS = st.text("abcz-./", min_size=1, max_size=6)
MOMENTS = st.integers(-62_135_596_800_000_000, YEAR_9999_US)
SCALARS: dict[str, SearchStrategy[Any]] = {
    "string": TEXTS,
    "boolean": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "bytes": st.binary(max_size=6).map(lambda raw: base64.b64encode(raw).decode()),
    "quantity": st.from_regex(r"[0-9]{1,4}(m|Ki|Mi|Gi|k|M|G)?", fullmatch=True),
    "time": MOMENTS.map(lambda us: stamp_of(us // 1_000_000 * 1_000_000)),
    "microtime": MOMENTS.map(micro_stamp_of),
    "int-or-string": st.integers(-(2**31), 2**31 - 1) | TEXTS,
    "any": st.dictionaries(KEYS, st.integers(0, 9) | TEXTS | st.lists(st.booleans(), max_size=2), max_size=2),
}
"""Values of every kind that is no list, map or struct; kinds that are not here are left out of objects."""


def values(field: Field, depth: int) -> SearchStrategy[Any] | None:
    """Values of a field; None where the depth is used up."""
    if field.kind in SCALARS:
        return SCALARS[field.kind]
    if field.kind == "struct":
        return None if depth <= 0 or field.type is None else objects(field.type, depth - 1)
    inner = None if field.element is None else values(field.element, depth)
    if inner is None:
        return None
    return st.lists(inner, max_size=2) if field.kind == "list" else st.dictionaries(KEYS, inner, max_size=2)


def objects(type: Type, depth: int = DEPTH_MAX) -> SearchStrategy[dict[str, Any]]:
    """Objects of a type, some fields set and most not; what an object says of its own kind is left out."""
    embedded = "metadata" in type.fields

    def drawn(names: list[str]) -> SearchStrategy[dict[str, Any]]:
        chosen = ((name, values(type.fields[name], depth)) for name in names)
        return st.fixed_dictionaries({name: strategy for name, strategy in chosen if strategy is not None})

    names = [name for name in type.fields if not (embedded and name in ("kind", "apiVersion"))]
    if not names:
        return st.just({})
    return st.lists(st.sampled_from(names), unique=True, max_size=FIELDS_MAX).flatmap(drawn)
