"""Runs of scenarios: when goals are reached, what rules and hints cost, stages, questions, clients, and replays."""

from __future__ import annotations

import json
import re
from textwrap import indent
from typing import Any
from xml.etree import ElementTree

import pytest

from seatrial.scenarios.kubectl.onmachine import with_kubectl
from seatrial.scenarios.noted import is_under_way
from seatrial.scenarios.report import Report, report_of
from seatrial.scenarios.report_page import page
from seatrial.scenarios.runner import Followed, NotReady, Run, on_new_cluster, played, replayed
from seatrial.scenarios.schema import read
from seatrial.scenarios.timeline.picture import COLORS
from seatrial.sim.cluster import Cluster
from seatrial.sim.kernel.journal import Journal

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: nginx, image: "nginx:1.27"}], terminationGracePeriodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}], type: NodePort}
"""
BROKEN = {"spec": {"selector": {"app": "wbe"}}}
MENDED = {"spec": {"selector": {"app": "web"}}}
SCENARIO = f"""\
id: T-1
title: &text {{en: a, ko: b}}
level: 1
topics: [tests]
par: 1m
limit: 10m
story: *text
cluster: {{nodes: 2, metrics_server: false}}
manifests: |
{indent(WEB, "  ")}
rules:
- {{id: keep, text: *text, always: "kept('deployment/web')"}}
- {{id: many, text: *text, always: "obj('deployment/web').spec.replicas <= 3", costs: 10}}
stages:
- timeline:
  - at: 10s
    apply: |
      apiVersion: v1
      kind: Service
      metadata: {{name: web}}
      spec: {{selector: {{app: wbe}}, ports: [{{port: 80}}], type: NodePort}}
  goals:
  - {{id: endpoints, text: *text, that: "endpoints('web') == 2", holds: 5s}}
  hints: [*text]
solutions: {{wait: [wait]}}
wrong: {{wait-too: {{do: [wait], fails: [endpoints], why: *text}}}}
debrief: *text
"""
SECOND = """\
- id: second
  timeline:
  - {at: 5s, fault: {kind: kubelet-stop, node: w1-k8s}, name: stopped}
  - {at: 2m, heal: stopped}
  goals:
  - {id: node, text: {en: a, ko: b}, that: "condition('node/w1-k8s', 'Ready') == 'True'", holds: 5s}
  questions:
  - {id: who, ask: {en: a, ko: b}, answer: [kubelet], choices: {kubelet: {en: a, ko: b}, proxy: {en: a, ko: b}}}
"""


def begun(text: str = SCENARIO) -> Run:
    return on_new_cluster(read(text, "t.yaml"), text)


def goal(report: Report, name: str) -> Any:
    return next(each for each in report.goals if each.id == name)


def test_goal_counts_once_trouble_was_seen_and_it_has_held_long_enough() -> None:
    run = begun()
    run.cluster.run(9_000_000)
    assert not run.passed, "it holds, but nothing has happened yet"
    run.cluster.run(11_000_000)
    assert goal(report_of(run), "endpoints").observed == "endpoints('web') is 0"
    run.cluster.patch("service", "web", MENDED)
    run.cluster.run(4_000_000)
    assert not run.passed
    run.cluster.run(3_000_000)
    report = report_of(run)
    assert (report.passed, report.recovery_s, report.commands, report.score) == (
        True,
        pytest.approx(15, abs=0.1),
        1,
        100,
    )
    kinds = [each.kind for each in report.timeline]
    assert kinds == ["begin", "holds", "event", "lost", "change", "holds", "passed"]


def test_who_was_quick_passes_though_the_trouble_never_showed() -> None:
    run = begun(SCENARIO.replace("  goals:\n", "  shows: 30s\n  goals:\n").replace("app: wbe", "app: web"))
    run.cluster.run(39_000_000)
    assert not run.passed
    run.cluster.run(2_000_000)
    assert run.passed


def test_lines_are_typed_after_what_the_story_tells_of_has_happened() -> None:
    report = report_of(played(begun(), (f"kubectl patch service web -p '{json.dumps(MENDED)}'",)))
    assert [each.kind for each in report.timeline] == ["begin", "holds", "event", "lost", "change", "holds", "passed"]
    later = "  - {at: 30s, run: kubectl scale deployment web --replicas=3}\n  - {at: 40s, load: {kind: constant, url: "
    later += "'http://192.168.1.101/', level: 1}}\n  - {at: 20s, fault: {kind: kubelet-stop, node: w1-k8s}, name: f}\n"
    text = SCENARIO.replace("  goals:\n", f"{later}  - {{at: 50s, heal: f}}\n  goals:\n")
    assert sum(begun(text).opening()) == 30_000_000, "loads are announced, and a fault may end later"
    assert list(begun(f"handover: 3s\n{text}").opening()) == [3_000_000]
    assert list(begun(f"handover: 0s\n{text}").opening()) == []


def test_broken_rule_fails_or_costs() -> None:
    run = begun()
    run.cluster.patch("deployment", "web", {"spec": {"replicas": 4}})
    run.cluster.run(20_000_000)
    run.cluster.patch("service", "web", MENDED)
    run.cluster.patch("deployment", "web", {"spec": {"replicas": 2}})
    played(run, ())
    report = report_of(run)
    assert (report.passed, report.score) == (True, 90)
    run = begun()
    run.cluster.delete("deployment", "web")
    run.cluster.run(2_000_000)
    report = report_of(run)
    assert (report.passed, report.hopeless, report.score) == (False, True, 0)
    assert report.rules[0].observed == "kept('deployment/web') is false"


def test_hint_costs_five_points_and_hints_end() -> None:
    run = begun()
    assert run.hint() is not None
    assert run.hint() is None
    run.cluster.run(20_000_000)
    run.cluster.patch("service", "web", MENDED)
    assert report_of(played(run, ())).score == 95


def test_goal_with_a_time_limit_fails_for_good() -> None:
    run = begun(SCENARIO.replace("holds: 5s", "holds: 5s, within: 20s"))
    run.cluster.run(31_000_000)
    run.cluster.patch("service", "web", MENDED)
    report = report_of(played(run, ()))
    assert (report.passed, goal(report, "endpoints").observed) == (False, "not within 20s")
    assert report.elapsed_s < 60, "nobody waits for what cannot be"


def test_next_stage_begins_when_the_one_before_is_passed_and_its_questions_count() -> None:
    run = begun(SCENARIO.replace("solutions:", f"{SECOND}solutions:"))
    with pytest.raises(KeyError):
        run.answer("who", "proxy")
    run.cluster.run(20_000_000)
    run.cluster.patch("service", "web", MENDED)
    assert run.type("wait").code == 0
    run.cluster.run(TICK)
    assert report_of(run).stage == "second"
    assert run.type("until condition('node/w1-k8s', 'Ready') == 'Unknown'").code == 0
    assert run.type("answer who proxy").output == "wrong\n"
    assert run.type("answer who Kubelet").output == "right\n"
    report = report_of(played(run, ("wait",)))
    assert (report.passed, report.stages) == (True, (2, 2))
    assert next(each for each in report.questions).given == ("proxy", "Kubelet")
    assert report.score < 100


TICK = 1_000_000


def test_run_is_graded_the_same_when_it_is_replayed() -> None:
    run = begun(SCENARIO.replace("solutions:", f"{SECOND}solutions:"))
    run.cluster.run(20_123_456)
    run.cluster.patch("service", "web", MENDED)
    run.hint()
    played(run, ("wait", "clock advance 30s", "answer who kubelet", "wait"))
    again = replayed(Journal.load(run.cluster.journal.dump()))
    assert again.cluster.digest() == run.cluster.digest()
    assert report_of(again).model_dump() == report_of(run).model_dump()
    assert report_of(run).passed


@pytest.mark.parametrize("after_s", [5, 15, 24, 60])
def test_run_goes_on_from_where_a_replay_has_come_to(after_s: int) -> None:
    run = begun(SCENARIO.replace("solutions:", f"{SECOND}solutions:").replace("apply: |", "say: *text\n    apply: |"))
    run.cluster.run(min(after_s, 20) * 1_000_000)
    if after_s > 20:
        run.cluster.patch("service", "web", MENDED)
        run.cluster.run(after_s * 1_000_000 - run.elapsed_us)
    journal = Journal.load(run.cluster.journal.dump())
    cluster = with_kubectl(Cluster.begin(journal))
    followed = Followed(cluster)
    cluster.follow(journal)
    again = followed.resume()
    assert again is not None
    mend = f"kubectl patch service web -p '{json.dumps(MENDED)}'"
    for each in (run, again):
        played(each, ("clock advance 20s", mend, "clock advance 4m", "answer who kubelet", "wait"))
    assert again.cluster.digest() == run.cluster.digest()
    assert report_of(again).model_dump() == report_of(run).model_dump()
    assert again.said == run.said
    assert report_of(run).passed


def test_run_that_was_given_up_does_not_go_on() -> None:
    run = begun()
    run.cluster.run(5_000_000)
    assert is_under_way(run.cluster.journal)
    run.end()
    assert not is_under_way(run.cluster.journal)
    journal = Journal.load(run.cluster.journal.dump())
    cluster = with_kubectl(Cluster.begin(journal))
    followed = Followed(cluster)
    cluster.follow(journal)
    assert followed.resume() is None


def test_replay_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no scenario"):
        replayed(Journal({"seed": 1}))


def test_beginning_that_does_not_come_about_is_told() -> None:
    text = SCENARIO.replace("level: 1", "level: 1\nready: ready('deployment/web') == 3")
    with pytest.raises(NotReady, match=r"ready\('deployment/web'\) is 2"):
        begun(text)


def test_page_of_a_report_needs_nothing_else_and_draws_when_which_goal_held() -> None:
    run = begun(SCENARIO.replace("title: &text {en: a, ko: b}", 'title: &text {en: "<a>", ko: 나}'))
    run.cluster.run(20_000_000)
    run.cluster.patch("service", "web", MENDED)
    facts = report_of(played(run, ()))
    for language, title in (("en", "&lt;a&gt;"), ("ko", "나")):
        made = page(facts, language)
        assert f"T-1 · {title}" in made
        assert not re.search(r"(src|href)=", made)
        assert set(re.findall(r">(\d+:\d\d)</text>", made)) >= {"0:00", "0:15"}, "times count from time 0"
        assert made.count(COLORS["good"]) == 2, "it held until the trouble, and from the mending on"
        drawn = made[made.index("<svg") : made.index("</svg>") + len("</svg>")]
        assert ElementTree.fromstring(drawn).tag.endswith("svg")
