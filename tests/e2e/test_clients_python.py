"""Clients written in Python tell their stories against a cluster with nodes; each is a program under ``clients``."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import DEADLINE_S, Machine, beside, heard, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]
PROGRAMS = Path(__file__).parent / "clients" / "python"
GREETING = """\
apiVersion: seatrial.dev/v1
kind: Greeting
metadata: {name: world}
spec: {hello: ahoy, times: %d}
"""

EVERY_MINUTE = """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: shadowed}
spec:
  schedule: "* * * * *"
  successfulJobsHistoryLimit: 10
  jobTemplate:
    spec:
      template:
        metadata: {labels: {app: shadowed}}
        spec:
          restartPolicy: Never
          containers: [{name: main, image: busybox, command: [sleep, "5"]}]
"""


@pytest.mark.parametrize("program", ["official", "kr8s_story", "lightkube_story"])
def test_a_client_library(lab: Machine, program: str) -> None:
    lab.must(sys.executable, str(PROGRAMS / f"{program}.py"))


def test_a_kopf_operator(lab: Machine) -> None:
    lab.kubectl("apply", "-f", str(PROGRAMS / "greetings.yaml"))
    lab.kubectl("wait", "--for=condition=Established", "crd/greetings.seatrial.dev", "--timeout=240s")

    def text() -> str:
        return lab.type("kubectl", "get", "configmap", "world", "-o", "jsonpath={.data.text}").stdout

    def said(times: int) -> bool:
        return lab.kubectl("get", "greeting", "world", "-o", "jsonpath={.status.said}") == str(times)

    operator = ("-m", "kopf", "run", "--standalone", "--namespace", "default", str(PROGRAMS / "greeter.py"))
    with beside(lab, sys.executable, *operator) as kopf:
        lab.kubectl("apply", "-f", "-", stdin=GREETING % 1)
        wait_for("the config map", lambda: text() == "ahoy" and said(1))
        lab.kubectl("apply", "-f", "-", stdin=GREETING % 2)
        wait_for("the change", lambda: text() == "ahoy ahoy" and said(2))
        refused = lab.type("kubectl", "apply", "-f", "-", stdin=GREETING % 6)
        assert "spec.times: Invalid value: 6" in refused.stderr
        wait_for("the event", lambda: "said hello" in lab.kubectl("events", "--for", "greeting/world"))
        lab.kubectl("delete", "greeting", "world", "--timeout=240s")
        lab.kubectl("get", "configmap", "world-farewell")
        assert kopf.poll() is None
    wait_for("the end of the owned config map", lambda: text() == "")


def test_in_lock_step_an_operator_keeps_up_with_minutes_that_take_no_time(lab: Machine) -> None:
    def made(kind: str) -> dict[str, str]:
        return {
            each["metadata"]["name"]: each["metadata"]["creationTimestamp"]
            for each in lab.read(kind)["items"]
            if each["metadata"]["name"].startswith("shadowed-")
        }

    lab.kubectl("apply", "-f", "-", stdin=EVERY_MINUTE)
    operator = ("-m", "kopf", "run", "--standalone", "--namespace", "default", str(PROGRAMS / "shadow.py"))
    with beside(lab, sys.executable, *operator) as kopf:
        lab.must("seatrial", "clock", "advance", "1m", "--cluster", "lab")
        wait_for("the first shadow", lambda: bool(made("configmaps")))
        lab.must("seatrial", "clock", "lockstep", "on", "--grace", "2s", "--cluster", "lab")
        try:
            lab.must("seatrial", "clock", "advance", "4m", "--cluster", "lab")
        finally:
            lab.must("seatrial", "clock", "lockstep", "off", "--cluster", "lab")
        wait_for("a shadow for each", lambda: made("configmaps").keys() == made("pods").keys())
        assert kopf.poll() is None
    pods, shadows = sorted(made("pods").items(), key=lambda each: each[1]), made("configmaps")
    lab.kubectl("delete", "cronjob", "shadowed")
    assert len(pods) >= 5
    for (name, _), (_, following) in list(pairwise(pods))[1:]:
        assert shadows[name] < following


def test_kubectl_proxy_and_a_browser(lab: Machine) -> None:
    with beside(lab, "kubectl", "proxy", "--port=0") as proxy:
        address = heard(proxy, "Starting to serve on").split()[-1]
        headers = {"User-Agent": "Mozilla/5.0"}
        with httpx.Client(base_url=f"http://{address}", headers=headers, timeout=DEADLINE_S) as browser:
            page = browser.get("/api/v1/namespaces/default/services/kubernetes")
            assert page.status_code == 200
            assert page.text.startswith('{\n  "kind": "Service",\n')
            assert browser.get("/apis", headers={"Accept": "text/html"}).status_code == 406
            assert browser.get("/api/v1/nodes/none").json()["reason"] == "NotFound"
            assert browser.get("/openapi/v3").json()["paths"]
            query = {"watch": "1", "timeoutSeconds": f"{DEADLINE_S:g}"}
            with browser.stream("GET", "/api/v1/namespaces", params=query) as frames:
                assert '"type":"ADDED"' in next(frames.iter_lines())
