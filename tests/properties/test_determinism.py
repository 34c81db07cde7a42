"""One seed, one specification and one journal are one history, in any process, under any PYTHONHASHSEED."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.journal import Journal

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: web, image: "nginx:1.27", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""

STORY = """
import sys
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
cluster = Cluster(ClusterSpec.model_validate_json(sys.argv[1]), seed=int(sys.argv[2]))
cluster.apply(sys.argv[3])
cluster.advance("40s")
cluster.apply(sys.argv[3].replace("nginx:1.27", "nginx:1.28").replace("replicas: 4", "replicas: 6"))
cluster.advance("90s")
cluster.delete("deployment", "web")
cluster.advance("60s")
open(sys.argv[4], "wb").write(cluster.journal.dump())
print(cluster.store.revision, cluster.digest())
"""

REPLAY = """
import sys
from seatrial.sim.cluster import Cluster
from seatrial.sim.kernel.journal import Journal
cluster = Cluster.replay(Journal.load(open(sys.argv[1], "rb").read()))
print(cluster.store.revision, cluster.digest())
"""

BARE = ClusterSpec(nodes=0, controllers="none")
SPECS = {
    "control plane": ClusterSpec(control_plane_only=True),
    "whole": ClusterSpec(nodes=3),
}


def run(script: str, *arguments: str, hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", SPECS)
def test_history_is_the_same_in_every_process_and_from_its_journal(name: str, tmp_path: Path) -> None:
    spec = SPECS[name].model_dump_json()
    journals = [str(tmp_path / f"journal{number}") for number in range(2)]
    first = run(STORY, spec, "7", MANIFEST, journals[0], hash_seed="1")
    second = run(STORY, spec, "7", MANIFEST, journals[1], hash_seed="4242")
    assert first == second
    assert Path(journals[0]).read_bytes() == Path(journals[1]).read_bytes()
    assert run(REPLAY, journals[0], hash_seed="99") == first


def test_other_seed_other_history() -> None:
    assert Cluster(BARE, seed=1).digest() != Cluster(BARE, seed=2).digest()


def test_replay_in_one_process_does_not_disturb_the_original() -> None:
    cluster = Cluster(BARE, seed=5)
    cluster.apply(MANIFEST)
    cluster.advance("5s")
    before = cluster.digest()
    replayed = Cluster.replay(Journal.load(cluster.journal.dump()))
    assert replayed.digest() == before == cluster.digest()
