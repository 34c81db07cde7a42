"""Parts of objects that say the same, as one object.

The pods of a workload differ in names, addresses and ids; their conditions, resources and owned fields say the same,
thousands of times over. Objects are never mutated, so that whoever keeps them may keep each such part once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from seatrial.sim.kernel.compact import compact

HOLDERS: Final = (dict, list)
KNOWN_MAX: Final = 4096
"""Parts that are remembered; past this many the memory starts anew."""
LONG_BYTES: Final = 8192
"""What is written in more bytes than this is not remembered, only its parts are."""

_known: dict[bytes, Any] = {}


def shared(obj: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object, with each part that was seen lately as it was then.

    ``before``: an object whose parts need not be looked for where ``obj`` has the very same.
    """
    found: dict[str, Any] = {}
    for key, part in obj.items():
        if type(part) in HOLDERS and part is not before.get(key):
            known = _shared(part)
            if known is not part:
                found[key] = known
    return {**obj, **found} if found else obj


def _shared(part: Any) -> Any:
    """A dict or list; one that is new is remembered, with its own parts shared."""
    raw = orjson.dumps(part)
    long = len(raw) > LONG_BYTES
    known = None if long else _known.get(raw)
    if known is not None:
        return known
    if type(part) is dict:
        inner: Any = {key: _shared(item) if type(item) in HOLDERS else item for key, item in part.items()}
    else:
        inner = [_shared(item) if type(item) in HOLDERS else item for item in part]
    if not long:
        if len(_known) >= KNOWN_MAX:
            _known.clear()
        _known[compact(raw)] = inner
    return inner
