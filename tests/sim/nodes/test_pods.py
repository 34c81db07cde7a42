"""Pods on their machine, from the first image to the last status."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.apiserver.kubelets import LogOptions
from seatrial.sim.config import S
from tests.sim.nodes.machines import cluster, delete, node_of, phase, pod

ORDER = ("Pending", "Running", "Succeeded", "Failed")


class TestPods:
    def test_an_image_is_fetched_once_and_said_so(self) -> None:
        made = cluster()
        for name in ("a", "b"):
            body = pod(name, "")
            body["spec"]["containers"][0] = {"name": "c", "image": "nginx:1.27"}
            made.apply(body)
        made.run(30 * S)
        messages = {
            e["involvedObject"]["name"]: e["message"] for e in made.store.list("events") if e["reason"] == "Pulled"
        }
        size = "Image size: 75497472 bytes."
        rounded = [re.sub(r"\b4\.3\d+s", "4.37s", message) for message in messages.values()]
        assert sorted(rounded) == [
            f'Successfully pulled image "nginx:1.27" in 3.919s (3.919s including waiting). {size}',
            f'Successfully pulled image "nginx:1.27" in 450ms (4.37s including waiting). {size}',
        ]
        images = made.store.get("nodes", "", "w1-k8s")["status"]["images"]  # type: ignore[index]
        (digest, tagged), size_bytes = images[0]["names"], images[0]["sizeBytes"]
        assert digest.startswith("docker.io/library/nginx@sha256:")
        assert (tagged, size_bytes) == ("docker.io/library/nginx:1.27", 75497472)

    def test_addresses_of_ended_pods_are_given_back(self) -> None:
        made = cluster()
        made.apply(pod("a", "sleep 600"))
        made.run(5 * S)
        addresses = node_of(made).runtime.addresses
        assert len(addresses.used) == 1
        delete(made, "a")
        made.run(10 * S)
        assert phase(made, "a") is None
        assert not addresses.used
        assert not node_of(made).kubelet.workers

    def test_grace_is_respected(self) -> None:
        made = cluster()
        made.apply(pod("deaf", "trap '' TERM; while :; do sleep 1; done", terminationGracePeriodSeconds=8))
        made.run(5 * S)
        delete(made, "deaf")
        made.run(7 * S)
        assert phase(made, "deaf") == "Running"
        made.run(4 * S)
        assert phase(made, "deaf") is None

    def test_a_deadline_that_is_set_while_the_pod_runs_counts_from_its_start(self) -> None:
        made = cluster()
        made.apply(pod("a", "sleep 600"))
        made.run(5 * S)
        made.apply(pod("a", "sleep 600", activeDeadlineSeconds=20))
        made.run(10 * S)
        assert phase(made, "a") == "Running"
        made.apply(pod("a", "sleep 600", activeDeadlineSeconds=12))
        made.run(8 * S)
        found = made.store.get("pods", "default", "a")
        assert found is not None
        assert (found["status"]["phase"], found["status"]["reason"]) == ("Failed", "DeadlineExceeded")

    def test_a_pods_cgroup_is_there_to_be_read_until_the_next_housekeeping(self) -> None:
        """Every other second: the last status of a pod that ended in between still has the cgroup's memory limit."""
        limits = []
        for second in range(6, 10):
            made = cluster()
            made.apply(pod("a", f"sleep {second}", restartPolicy="Never"))
            made.run(20 * S)
            limits.append(made.get("pod", "a")["status"]["resources"].get("limits"))
        kept = {"memory": "9007199254740988Ki"}
        assert limits in ([kept, None] * 2, [None, kept] * 2)

    def test_sidecars_start_before_and_end_after_the_others(self) -> None:
        made = cluster()
        side = {"name": "side", "image": "busybox:1", "restartPolicy": "Always"}
        side["command"] = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]  # type: ignore[assignment]
        made.apply(pod("a", "sleep 5", restartPolicy="Never", initContainers=[side]))
        made.run(20 * S)
        found = made.store.get("pods", "default", "a")
        assert found is not None
        assert found["status"]["phase"] == "Succeeded"
        main = found["status"]["containerStatuses"][0]["state"]["terminated"]
        beside = found["status"]["initContainerStatuses"][0]["state"]["terminated"]
        assert beside["startedAt"] <= main["startedAt"] <= main["finishedAt"] <= beside["finishedAt"]

    def test_logs_can_be_followed_cut_and_taken_from_the_instance_before(self) -> None:
        made = cluster()
        made.apply(pod("a", "for i in 1 2 3; do echo line $i; sleep 1; done; exit 1"))
        made.run(3 * S)
        kubelet = made.wiring.kubelets.dial("w1-k8s")
        stream = kubelet.logs("default", "a", "c", LogOptions(follow=True, tail_lines=1))
        first = stream.read()
        assert first.count(b"\n") == 1
        calls: list[int] = []
        stream.on_ready(lambda: calls.append(1))
        made.run(2 * S)
        assert b"line 3\n" in stream.read()
        assert calls
        made.run(3 * S)
        previous = kubelet.logs("default", "a", "c", LogOptions(previous=True, timestamps=True))
        lines = previous.read().decode().splitlines()
        assert [line.partition(" ")[2] for line in lines] == ["line 1", "line 2", "line 3"]

    def test_a_termination_message_is_reported(self) -> None:
        made = cluster()
        made.apply(pod("a", "echo because > /dev/termination-log; exit 2", restartPolicy="Never"))
        made.run(8 * S)
        state = made.store.get("pods", "default", "a")["status"]["containerStatuses"][0]["state"]  # type: ignore[index]
        assert (state["terminated"]["message"], state["terminated"]["exitCode"]) == ("because\n", 2)

    def test_the_end_of_a_log_can_be_the_message(self) -> None:
        made = cluster()
        body = pod("a", "echo first; echo last >&2; exit 2", restartPolicy="Never")
        body["spec"]["containers"][0]["terminationMessagePolicy"] = "FallbackToLogsOnError"
        made.apply(body)
        made.run(8 * S)
        state = made.store.get("pods", "default", "a")["status"]["containerStatuses"][0]["state"]  # type: ignore[index]
        assert state["terminated"]["message"] == "first\nlast\n"

    def test_another_image_is_another_container(self) -> None:
        made = cluster()
        body = pod("a", "sleep 600")
        made.apply(body)
        made.run(5 * S)
        body["spec"]["containers"][0]["image"] = "busybox:latest"
        made.apply(body)
        made.run(10 * S)
        status = made.store.get("pods", "default", "a")["status"]["containerStatuses"][0]  # type: ignore[index]
        assert (status["restartCount"], status["image"]) == (1, "docker.io/library/busybox:latest")
        messages = [e["message"] for e in made.store.list("events") if e["reason"] == "Killing"]
        assert messages == ["Container c definition changed, will be restarted"]

    @pytest.mark.parametrize(
        ("script", "probe", "ready"),
        [
            ("while :; do sleep 1; done", None, True),
            ("sleep 3; touch /tmp/up; sleep 100000", {"exec": {"command": ["cat", "/tmp/up"]}}, True),
            ("sleep 100000", {"exec": {"command": ["cat", "/tmp/up"]}}, False),
        ],
    )
    def test_settled_means_started_as_far_as_it_will(self, script: str, probe: Any, ready: bool) -> None:
        made = cluster()
        body = pod("a", script)
        if probe is not None:
            body["spec"]["containers"][0]["readinessProbe"] = {**probe, "periodSeconds": 2}
        made.apply(body)
        made.settle()
        status = made.store.get("pods", "default", "a")["status"]  # type: ignore[index]
        assert (status["phase"], status["containerStatuses"][0]["ready"]) == ("Running", ready)

    def test_a_quiet_cluster_is_settled(self) -> None:
        made = cluster()
        made.apply(pod("a", "sleep 100000"))
        made.settle()
        assert phase(made, "a") == "Running"


SCRIPTS = st.sampled_from(["exit 0", "exit 1", "sleep 2", "sleep 1; exit 3", "sleep 600", "echo x"])


@settings(max_examples=8)
@given(
    SCRIPTS,
    st.lists(SCRIPTS.filter(lambda text: "600" not in text), max_size=2),
    st.sampled_from(["Always", "OnFailure", "Never"]),
)
def test_a_life_only_goes_forward(script: str, init: list[str], policy: str) -> None:
    made = cluster()
    watch = made.store.watch("pods", made.store.revision)
    before = [{"name": f"i{n}", "image": "busybox:1", "command": ["sh", "-c", text]} for n, text in enumerate(init)]
    made.apply(pod("a", script, restartPolicy=policy, initContainers=before))
    made.run(40 * S)
    restarts: dict[str, int] = {}
    rank = 0
    for change in watch.read(10_000):
        status = change.obj["status"]
        now = ORDER.index(status["phase"])
        assert now >= rank
        rank = now
        for each in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
            assert each["restartCount"] >= restarts.get(each["name"], 0)
            restarts[each["name"]] = each["restartCount"]
        if any("running" in each["state"] for each in status.get("containerStatuses", ())):
            ended = [
                each["state"].get("terminated", {}).get("exitCode") for each in status.get("initContainerStatuses", ())
            ]
            assert ended == [0] * len(init)
