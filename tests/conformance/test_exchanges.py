"""A real server's answers to recorded requests are ours.

``tests/data/exchanges`` holds requests and what a kube-apiserver v1.37.2 answered. ``differences.yaml`` lists every
answer that is not equal, with the reason; a difference that is not listed fails, and so does a listed one that is gone.
``docs/fidelity.md`` is written from both (``pytest tests/conformance/test_exchanges.py --rewrite``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from conformance import exchanges

HERE = Path(__file__).parent
DATA = HERE.parent / "data" / "exchanges"
FIDELITY = HERE.parents[1] / "docs" / "fidelity.md"
BEGIN, END = "<!-- exchanges: begin -->\n", "<!-- exchanges: end -->\n"
CORPORA = ("requests", "fields")


class Group(NamedTuple):
    """What became of one recorded group."""

    name: str
    total: int
    status_equal: int
    differences: dict[str, exchanges.Difference]


@cache
def corpus(name: str) -> dict[str, Group]:
    """All groups of a corpus, replayed one after the other against one API server, discovery before anything else."""
    cluster = exchanges.bare_cluster()
    paths = sorted(
        (DATA / name).glob("*.jsonl.gz"), key=lambda path: (not path.name.startswith("discovery"), path.name)
    )
    return {path.name.removesuffix(".jsonl.gz"): replayed(cluster, path) for path in paths}


def replayed(cluster: Any, path: Path) -> Group:
    total, status_equal, found = 0, 0, {}
    for want, got in exchanges.replay(cluster, exchanges.read(path)):
        if want.get("unstable"):
            continue
        total += 1
        difference = exchanges.compare(want, got)
        if difference is None or difference.status_equal:
            status_equal += 1
        if difference is not None:
            found[difference.name] = difference
    return Group(path.name.removesuffix(".jsonl.gz"), total, status_equal, found)


def accepted() -> dict[str, dict[str, str]]:
    """Group and name of every known difference, with the reason."""
    listed: dict[str, dict[str, str]] = yaml.safe_load((HERE / "differences.yaml").read_text()) or {}
    return listed


def groups() -> Iterator[Any]:
    for name in CORPORA:
        for path in sorted((DATA / name).glob("*.jsonl.gz")):
            yield pytest.param(name, path.name.removesuffix(".jsonl.gz"), id=path.name.removesuffix(".jsonl.gz"))


@pytest.mark.xdist_group("exchanges")
@pytest.mark.parametrize(("name", "group"), list(groups()))
def test_answers_are_the_real_servers(name: str, group: str) -> None:
    found = corpus(name)[group].differences
    known = accepted().get(group, {})
    shown = "\n".join(
        f"{difference.name}: {difference.request}: {difference.fields[:3]}"
        for difference in found.values()
        if difference.name not in known
    )
    assert sorted(found) == sorted(known), shown


@pytest.mark.xdist_group("exchanges")
def test_the_figures_are_written_down(request: pytest.FixtureRequest) -> None:
    text = BEGIN + written() + END
    if request.config.getoption("--rewrite"):
        before = FIDELITY.read_text() if FIDELITY.exists() else f"# Fidelity\n\n{BEGIN}{END}"
        head, _, rest = before.partition(BEGIN)
        FIDELITY.write_text(head + text + rest.partition(END)[2])
    assert text in FIDELITY.read_text(), "docs/fidelity.md is not up to date: run this test with --rewrite"


def written() -> str:
    lines = ["| corpus | requests | status equal | answer equal |\n|---|---|---|---|\n"]
    for name in CORPORA:
        found = corpus(name).values()
        total, status = sum(group.total for group in found), sum(group.status_equal for group in found)
        equal = total - sum(len(group.differences) for group in found)
        lines.append(f"| {name} | {total} | {share(status, total)} | {share(equal, total)} |\n")
    lines.append("\n| group | request | why it is not equal |\n|---|---|---|\n")
    for group, known in sorted(accepted().items()):
        lines += [f"| {group} | {request} | {reason} |\n" for request, reason in known.items()]
    return "".join(lines)


def share(part: int, total: int) -> str:
    return f"{part} ({100 * part / total:.1f} %)"
