"""The timeline of a node's crash: what it says of nodes, pods and endpoints, and that it can be drawn."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from xml.etree import ElementTree

import pytest

from seatrial.scenarios.timeline import Timeline, drawn, lines, page, timeline_of
from seatrial.scenarios.timeline.page import script
from seatrial.scenarios.timeline.picture import ticks
from seatrial.scenarios.timeline.states import state_of
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


@lru_cache(maxsize=1)
def crashed() -> Cluster:
    """Two nodes with a pod each; one of them is off from 60 s to 500 s."""
    cluster = Cluster(ClusterSpec(nodes=2, metrics_server=False))
    cluster.advance("20s")
    cluster.apply(WEB)
    cluster.advance("40s")
    cluster.add_fault({"kind": "node-crash", "node": "w1-k8s"}, "dark", lasts="440s")
    cluster.advance("540s")
    return cluster


def timeline(**options: object) -> Timeline:
    cluster = crashed()
    return timeline_of(cluster.store, cluster.kinds, cluster.journal, cluster.now, **options)  # type: ignore[arg-type]


def seconds(at: int) -> float:
    return (at - int(crashed().journal.header["now"])) / S


def test_a_node_was_well_then_not_then_well_again() -> None:
    found = [span for span in timeline().spans if span.lane == "nodes /w1-k8s"]
    assert [span.state for span in found if span.state != "NotReady" or seconds(span.start) > 1] == [
        "Ready",
        "NotReady",
        "Ready",
    ]
    lost = next(span for span in found if span.state == "NotReady" and seconds(span.start) > 1)
    assert 95 <= seconds(lost.start) <= 125
    assert 500 <= seconds(lost.end) <= 515


def test_faults_are_bands() -> None:
    (band,) = [band for band in timeline().bands if band.kind == "fault"]
    assert (seconds(band.start), seconds(band.end)) == (60, 500)
    assert band.title == "dark node=w1-k8s"
    (band,) = timeline(since=crashed().now - 500 * S, until=crashed().now - 400 * S).bands
    assert (seconds(band.start), seconds(band.end)) == (100, 200)


def test_lanes_stand_below_their_owners() -> None:
    lanes = timeline(about=("pods", "default", pods()[0])).lanes
    assert [(lane.kind, lane.depth) for lane in lanes] == [("Deployment", 0), ("ReplicaSet", 1), ("Pod", 2)]
    lanes = timeline(about=("deployments.apps", "default", "web")).lanes
    assert [lane.kind for lane in lanes].count("Pod") == 3
    kinds = [lane.kind for lane in timeline().lanes]
    assert kinds[:3] == ["Node"] * 3
    assert "EndpointSlice" not in kinds
    assert "Lease" in [lane.kind for lane in timeline(every=True, lanes_max=1000).lanes]


def pods() -> list[str]:
    return [obj["metadata"]["name"] for obj in crashed().list("pods", "default")]


def test_causes_lead_from_the_pod_to_the_user() -> None:
    found = timeline(about=("deployments.apps", "default", "web"))
    marks = {mark.revision: mark for mark in found.marks}
    kinds = {lane.key: lane.kind for lane in found.lanes}
    mark = next(each for each in found.marks if kinds[each.lane] == "Pod" and each.what == "created")
    chain = [kinds[mark.lane]]
    while mark.because is not None:
        mark = marks[mark.because]
        chain.append(kinds[mark.lane])
    assert chain == ["Pod", "ReplicaSet", "Deployment"]
    assert mark.by.startswith("user")
    assert any(mark.warning and "NodeNotReady" in mark.what for mark in found.marks)


@pytest.mark.parametrize(("at", "ready", "lost"), [(59, 2, 0), (130, 1, 1), (599, 2, 0)])
def test_the_stage_is_what_it_was_at_each_moment(at: int, ready: int, lost: int) -> None:
    world: dict[tuple[str, str], object] = {}
    for turn in timeline().stage:
        if seconds(turn.at) <= at:
            world[turn.kind, turn.key] = turn.value
    service = world["service", "default/web"]
    assert isinstance(service, dict)
    assert sum(each["ready"] for each in service["endpoints"]) == ready
    states = [value["state"] for (kind, _), value in world.items() if kind == "node" and isinstance(value, dict)]
    assert states.count("NotReady") == lost


def test_the_stage_begins_with_what_was_there() -> None:
    found = timeline(since=crashed().now - 30 * S)
    begins = {(turn.kind, turn.key) for turn in found.stage if turn.at == found.start}
    assert {("node", "w1-k8s"), ("service", "default/web")} <= begins
    assert {key for kind, key in begins if kind == "pod"} >= {f"default/{name}" for name in pods()}


def test_it_is_drawn() -> None:
    found = timeline()
    root = ElementTree.fromstring(drawn(found))
    circles = root.findall("{http://www.w3.org/2000/svg}circle")
    assert 5 < len(circles) <= len(found.marks)
    text = "\n".join(line.plain for line in lines(found, 100, None))
    assert "node/w1-k8s" in text
    assert "▓" in text
    assert "dark node=w1-k8s" in text
    assert max(len(line) for line in text.split("\n\n")[0].splitlines()) <= 100
    assert Timeline.model_validate_json(found.model_dump_json()) == found


def test_the_page_needs_nothing_else() -> None:
    html = page(timeline(), "<b>what & why</b>")
    assert "&lt;b&gt;what &amp; why&lt;/b&gt;" in html
    assert "@@" not in html
    assert set(re.findall(r"https?://[^\"' ]+", html)) == {"http://www.w3.org/2000/svg"}
    data = re.search(r"const data = (.*), colors = ", html)
    assert data is not None
    assert json.loads(data[1])["stage"]


def test_nothing_in_the_data_ends_the_script() -> None:
    assert "</script>" not in script({"a": "</script><script>alert(1)"})


def test_too_many_lanes_are_counted() -> None:
    found = timeline(lanes_max=2)
    assert len(found.lanes) == 2
    assert found.hidden == len(timeline().lanes) - 2
    assert {span.lane for span in found.spans} <= {lane.key for lane in found.lanes}


@pytest.mark.parametrize("span_s", [1, 59, 3600, 86_400, 40 * 86_400])
def test_the_axis_has_a_handful_of_round_times(span_s: int) -> None:
    found = ticks(1_000_000 * S, (1_000_000 + span_s) * S)
    assert 1 <= len(found) <= 14
    assert all(at % S == 0 for at in found)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Pending"}, ("Unscheduled", "busy")),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, ("Ready", "good")),
        ({"phase": "Running"}, ("Running", "busy")),
        ({"phase": "Succeeded"}, ("Completed", "plain")),
        ({"phase": "Failed", "reason": "Evicted"}, ("Evicted", "bad")),
        (
            {"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
            ("CrashLoopBackOff", "bad"),
        ),
        (
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]},
            ("Unscheduled", "busy"),
        ),
    ],
)
def test_words_for_pods(status: dict[str, object], expected: tuple[str, str]) -> None:
    assert state_of({"kind": "Pod", "metadata": {}, "spec": {}, "status": status}) == expected
