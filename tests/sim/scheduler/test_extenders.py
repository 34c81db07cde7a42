"""Extenders: webhooks that have a say in where pods go."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import orjson
import yaml

from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.scheduler.config import read_config
from seatrial.sim.scheduler.extenders import duration_us
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


def test_timeouts_are_go_durations() -> None:
    assert [duration_us(text) for text in ("1m30s", "250ms", "", None)] == [90_000_000, 250_000, 5_000_000, 5_000_000]
