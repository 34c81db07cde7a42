"""Extenders: webhooks that have a say in where pods go."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import orjson
import yaml

from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.scheduler.config import read_config
from seatrial.sim.scheduler.extenders import duration_us
from seatrial.sim.scheduler.whatif import what_if
from tests.sim.scheduler.test_scheduler import Stage

Answer = Callable[[str, Any], Any]
HEAD = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}


def staged(answer: Answer, **extender: Any) -> Stage:
    """A cluster whose scheduler asks ``answer(verb, body)``."""
    given = {"urlPrefix": "http://extender.example/", "nodeCacheCapable": True, **extender}
    stage = Stage(config=read_config(yaml.safe_dump({**HEAD, "extenders": [given]})))

    def perform(call: ExternalCall) -> Generator[Any, Any, Any]:
        verb = call.url.removeprefix("http://extender.example/")
        yield stage.cluster.clock.sleep(1000)
        found = answer(verb, orjson.loads(call.body))
        return found if isinstance(found, OSError) else (200, orjson.dumps(found))

    stage.cluster.connect(perform)
    return stage


def test_an_extender_leaves_nodes_out() -> None:
    def answer(verb: str, body: Any) -> Any:
        assert verb == "filter" and body["Pod"]["metadata"]["name"] == "web"
        assert sorted(body["NodeNames"]) == ["w1", "w2", "w3"]
        return {"NodeNames": ["w2"], "FailedNodes": {"w1": "too loud", "w3": "too loud"}}

    stage = staged(answer, filterVerb="filter")
    stage.add_pod("web")
    stage.settle()
    assert stage.node_of("web") == "w2"


def test_what_an_extender_says_is_passed_on() -> None:
    def answer(verb: str, body: Any) -> Any:
        return {"NodeNames": [], "FailedNodes": dict.fromkeys(body["NodeNames"], "too loud")}

    stage = staged(answer, filterVerb="filter")
    stage.add_pod("web")
    stage.settle()
    message = "0/3 nodes are available: 3 too loud. preemption: 0/3 nodes are available: "
    assert stage.told("web") == [("FailedScheduling", f"{message}3 No preemption victims found for incoming pod.")]


def test_an_extender_tips_the_scales() -> None:
    def answer(verb: str, body: Any) -> Any:
        return [{"Host": name, "Score": 10 if name == "w3" else 0} for name in body["NodeNames"]]

    stage = staged(answer, prioritizeVerb="prioritize", weight=5)
    for number in range(3):
        stage.add_pod(f"web-{number}")
    stage.settle()
    assert {stage.node_of(f"web-{number}") for number in range(3)} == {"w3"}


def test_an_extender_that_does_not_answer_holds_pods_up_unless_it_may_be_ignored() -> None:
    def answer(verb: str, body: Any) -> Any:
        return OSError("connection refused")

    stage = staged(answer, filterVerb="filter")
    stage.add_pod("web")
    stage.cluster.run(500_000)
    assert stage.condition("web")["reason"] == "SchedulerError"
    assert stage.told("web")[0][1] == 'Post "http://extender.example/filter": connection refused'
    tolerant = staged(answer, filterVerb="filter", ignorable=True)
    tolerant.add_pod("web")
    tolerant.settle()
    assert tolerant.node_of("web") is not None


def test_pods_that_ask_for_nothing_an_extender_manages_are_none_of_its_business() -> None:
    def answer(verb: str, body: Any) -> Any:
        raise AssertionError(verb)

    stage = staged(answer, filterVerb="filter", managedResources=[{"name": "example.com/gpu"}])
    stage.add_pod("web")
    stage.settle()
    assert stage.node_of("web") is not None


def test_an_extender_binds_in_the_schedulers_place() -> None:
    asked: list[Any] = []

    def answer(verb: str, body: Any) -> Any:
        asked.append((verb, body["PodName"], body["PodNamespace"]))
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": body["PodName"]},
            "target": {"kind": "Node", "name": body["Node"]},
        }
        later = stage.cluster.clock.now + 1000
        path = f"/api/v1/namespaces/default/pods/{body['PodName']}/binding"
        stage.cluster.clock.appoint(later, lambda: stage.post(path, binding))
        return {}

    stage = staged(answer, bindVerb="bind")
    stage.add_pod("web")
    stage.settle()
    assert asked == [("bind", "web", "default")]
    assert stage.node_of("web") is not None
    assert [reason for reason, _ in stage.told("web")] == ["Scheduled"]


def test_a_pod_that_an_extender_cannot_bind_is_tried_again() -> None:
    stage = staged(lambda verb, body: {"Error": "no"}, bindVerb="bind")
    stage.add_pod("web")
    stage.cluster.run(500_000)
    assert stage.node_of("web") is None
    assert stage.told("web")[0] == ("FailedScheduling", "no")
    tolerant = staged(lambda verb, body: {"Error": "no"}, bindVerb="bind", ignorable=True)
    tolerant.add_pod("web")
    tolerant.settle()
    assert tolerant.node_of("web") is not None


def crowded(answer: Answer, **extender: Any) -> Stage:
    """Three full nodes, and an important pod that fits none; what the extender is asked names pods."""
    stage = staged(answer, preemptVerb="preempt", **extender)
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    stage.post("/apis/scheduling.k8s.io/v1/priorityclasses", {**kind, "metadata": {"name": "high"}, "value": 10})
    for number in range(3):
        stage.add_pod(f"low-{number}", cpu="2", terminationGracePeriodSeconds=0)
    stage.settle()
    stage.add_pod("high", cpu="2", priorityClassName="high")
    stage.cluster.run(3_000_000)
    return stage


def test_an_extender_chooses_among_those_who_could_make_room() -> None:
    def answer(verb: str, body: Any) -> Any:
        offered = body["NodeNameToMetaVictims"]
        assert sorted(offered) == ["w1", "w2", "w3"] and all(len(each["Pods"]) == 1 for each in offered.values())
        return {"NodeNameToMetaVictims": {"w2": offered["w2"]}}

    assert crowded(answer).node_of("high") == "w2"


def test_an_extender_may_leave_nobody_to_make_room() -> None:
    stage = crowded(lambda verb, body: {"NodeNameToMetaVictims": {}})
    assert stage.node_of("high") is None
    assert stage.told("high")[0][1] == (
        "0/3 nodes are available: 3 Insufficient cpu. preemption: no candidate node for preemption"
    )


def test_victims_that_are_not_there_are_a_mistake_of_the_extender() -> None:
    stage = crowded(lambda verb, body: {"NodeNameToMetaVictims": {"w1": {"Pods": [{"UID": "x"}]}}})
    assert stage.told("high")[0][1] == (
        "0/3 nodes are available: 3 Insufficient cpu. preemption: extender: http://extender.example claims to preempt "
        "pod (UID: x) on node: w1, but the pod is not found on that node"
    )


def test_an_explanation_says_who_was_not_asked() -> None:
    stage = staged(lambda verb, body: {"NodeNames": body["NodeNames"]}, filterVerb="filter")
    stage.add_pod("web")
    stage.settle()
    assert what_if(stage.scheduler, stage.pod("web"))["extendersNotAsked"] == ["http://extender.example"]


def test_timeouts_are_go_durations() -> None:
    assert [duration_us(text) for text in ("1m30s", "250ms", "", None)] == [90_000_000, 250_000, 5_000_000, 5_000_000]
