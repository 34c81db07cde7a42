"""What goes wrong for a user, told so that they can go on: the thing, the reason, the mend."""

from __future__ import annotations


class Problem(Exception):
    """An expected failure. The command line prints it in two lines and ends with exit code 1."""

    def __init__(self, what: str, why: str, mend: str) -> None:
        super().__init__(what, why, mend)
        self.what = what
        self.why = why
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"
