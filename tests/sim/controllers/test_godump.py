"""Hashes in names are upstream's to the letter.

``template_hashes.jsonl.gz`` holds pod templates and what ComputeHash of Kubernetes v1.37 makes of them, computed with
k8s.io/api and k8s.io/apimachinery v0.37.2 (Apache-2.0).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from seatrial.sim.controllers.hashing import template_hash

VECTORS = Path(__file__).parents[2] / "data" / "controllers" / "template_hashes.jsonl.gz"


def vectors() -> list[dict[str, Any]]:
    with gzip.open(VECTORS, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["hash"])
def test_a_template_has_the_hash_that_go_computes(vector: dict[str, Any]) -> None:
    assert template_hash(vector["template"]) == vector["hash"]


def test_a_collision_count_gives_another_name() -> None:
    template = vectors()[0]["template"]
    assert template_hash(template, 0) != template_hash(template) != template_hash(template, 1)
