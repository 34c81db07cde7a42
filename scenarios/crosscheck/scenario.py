"""What is played on a cluster: steps as data, one YAML file for each scenario.

Not modelled: waiting for a condition. Steps are timed, because when things happen is one of the facts compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

LIBRARY = Path(__file__).parent / "library"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Value):
    """One thing that a user does, or a pause. Exactly one field is given."""

    apply: tuple[dict[str, Any], ...] = Field(default=(), description="objects, applied in the scenario's namespace")
    kubectl: str = Field(default="", description="arguments of kubectl, as in: scale deployment web --replicas=5")
    wait: float = Field(default=0, ge=0, description="seconds")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Step:
        if sum(map(bool, (self.apply, self.kubectl, self.wait))) != 1:
            raise ValueError("a step is one of apply, kubectl and wait")
        return self


class Scenario(_Value):
    """Steps on an empty namespace."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=40)
    about: str
    steps: tuple[Step, ...] = Field(min_length=1)


def load(path: Path) -> Scenario:
    """The scenario of a file. Raises ValueError with what is wrong with it."""
    try:
        return Scenario.model_validate(yaml.safe_load(path.read_text()))
    except ValidationError as problem:
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problem.errors())
        raise ValueError(f"{path}: {said}") from None
    except yaml.YAMLError as problem:
        raise ValueError(f"{path}: it is not YAML: {problem}") from None


def chosen(paths: Iterable[Path], only: str = "") -> list[Scenario]:
    """The scenarios of files and folders, by default the library's, whose names contain ``only``."""
    files: list[Path] = []
    for path in list(paths) or [LIBRARY]:
        files += sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return [scenario for scenario in map(load, files) if only in scenario.name]
