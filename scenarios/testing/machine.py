"""A Hypothesis state machine over a cluster: users, crashes between any two requests, delays, stale views, errors.

    class Operators(ClusterMachine):
        def prepare(self):
            self.cluster.attach(Operator(self.cluster, "copier", reconcile, {"configmaps": object_key}))
            self.components += ("copier",)

    TestOperators = Operators.TestCase

After each rule the safety invariants are judged, at the end all faults are healed and the cluster has to come to what
the liveness invariants say. Add rules and invariants of your own as with any RuleBasedStateMachine. What is drawn is
small and its simplest form is harmless, so that a shrunk failure is close to a run in which nothing breaks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from seatrial.scenarios.pytest_plugin import replay_lines
from seatrial.scenarios.testing import manifests
from seatrial.scenarios.testing.controls import Faults, booted
from seatrial.scenarios.testing.temporal import Broken
from seatrial.sim.invariants import LIVENESS, SAFETY, Goal, Judge, Rule, unmet
from seatrial.sim.machinery.errors import ApiError

NAMES = st.sampled_from(("a", "b"))
SCALED = st.sampled_from(("deployment", "statefulset", "replicaset"))
COUNTS = st.integers(0, 4)
DELAYS_MS = st.sampled_from((1, 100, 1_000, 5_000))
SPANS = st.sampled_from(("10ms", "300ms", "2s", "10s", "40s"))
RECOVERY = "3m"
"""From the end of all faults to the judgement of what the cluster came to: more than a stuck lease and a lost node
need, less than the five minutes after which pods of a lost node are given up."""


class ClusterMachine(RuleBasedStateMachine):
    """Rules that a user and fate play; subclasses choose what they need."""

    spec: ClassVar[Mapping[str, Any]] = {}
    seed: ClassVar[int] = 0
    safety: ClassVar[tuple[Rule, ...]] = SAFETY
    goals: ClassVar[tuple[Goal, ...]] = LIVENESS

    def __init__(self) -> None:
        super().__init__()
        self.cluster = booted(self.spec, self.seed)
        self.faults = Faults(self.cluster)
        self.components: tuple[str, ...] = ("kube-controller-manager", "kube-scheduler")
        """What may crash and be slow to see."""
        self.prepare()
        self._judge = Judge(self.cluster.store, self.safety)
        self._stale: dict[str, None] = {}

    def prepare(self) -> None:
        """Attach operators and create what is there from the beginning."""

    def do(self, call: Any, *arguments: Any) -> None:
        """Something a user tries; a refusal is an answer, too."""
        try:
            call(*arguments)
        except ApiError:
            return

    # users

    @rule(kind=SCALED, name=NAMES, replicas=COUNTS)
    def create(self, kind: str, name: str, replicas: int) -> None:
        self.do(self.cluster.apply, manifests.workload(kind, name, replicas))

    @rule(name=NAMES, completions=st.integers(1, 4), parallelism=st.integers(1, 3))
    def create_job(self, name: str, completions: int, parallelism: int) -> None:
        self.do(self.cluster.apply, manifests.job(name, completions, parallelism))

    @rule(name=NAMES)
    def create_daemons(self, name: str) -> None:
        self.do(self.cluster.apply, manifests.daemons(name))

    @rule(name=NAMES)
    def expose(self, name: str) -> None:
        self.do(self.cluster.apply, manifests.service(name))

    @rule(name=NAMES, least=st.integers(0, 3))
    def guard(self, name: str, least: int) -> None:
        self.do(self.cluster.apply, manifests.budget(name, least))

    @rule(kind=SCALED, name=NAMES, replicas=COUNTS)
    def scale(self, kind: str, name: str, replicas: int) -> None:
        self._change(kind, name, {"replicas": replicas})

    @rule(kind=st.sampled_from(("deployment", "statefulset", "daemonset")), name=NAMES, number=st.integers(1, 3))
    def roll(self, kind: str, name: str, number: int) -> None:
        containers = [{"name": "main", "image": f"nginx:1.{number}"}]
        self._change(kind, name, {"template": {"spec": {"containers": containers}}})

    def _change(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        self.do(self.cluster.patch, kind, name, {"spec": spec})

    @rule(
        kind=st.sampled_from(("deployment", "statefulset", "replicaset", "job", "daemonset", "service")),
        name=NAMES,
        policy=st.sampled_from(("Background", "Foreground", "Orphan")),
    )
    def delete(self, kind: str, name: str, policy: str) -> None:
        self.do(self.cluster.delete, kind, name, "default", {"propagationPolicy": policy})

    @precondition(lambda self: self.cluster.store.count("pods"))
    @rule(number=st.integers(0, 7), evict=st.booleans())
    def remove_pod(self, number: int, evict: bool) -> None:
        pods = self.cluster.list("pods", "default")
        if not pods:
            return
        name = pods[number % len(pods)]["metadata"]["name"]
        self.do(self.cluster.evict if evict else self.cluster.delete, *((name,) if evict else ("pod", name)))

    @rule(span=SPANS)
    def let_time_pass(self, span: str) -> None:
        self.cluster.advance(span)

    # fate

    @rule(which=st.integers(0, 9), after_writes=st.integers(0, 12), down_ms=DELAYS_MS)
    def crash(self, which: int, after_writes: int, down_ms: int) -> None:
        self.faults.crash(self.components[which % len(self.components)], after_writes, down_ms * 1000)

    @rule(which=st.integers(0, 9), delay_ms=DELAYS_MS, resource=st.sampled_from(("pods", "replicasets", "jobs", "")))
    def see_late(self, which: int, delay_ms: int, resource: str) -> None:
        self.faults.stale(self.components[which % len(self.components)], delay_ms * 1000, resource, "20s")

    @rule(code=st.sampled_from((409, 429, 500, 503)), verb=st.sampled_from(("create", "update", "patch", "delete")))
    def refuse(self, code: int, verb: str) -> None:
        self.faults.errors(code, 0.5, "5s", verb=verb, user="system:")

    @rule(number=st.integers(0, 4), delay_ms=DELAYS_MS)
    def slow_link(self, number: int, delay_ms: int) -> None:
        node = self._node(number)
        if f"slow-{node}" not in self._names():
            self.faults.add("link-quality", f"slow-{node}", "20s", node=node, delay_ms=delay_ms)

    @rule(number=st.integers(0, 4), one_way=st.booleans(), lasts=SPANS)
    def cut_link(self, number: int, one_way: bool, lasts: str) -> None:
        self.faults.add("partition", lasts=lasts, a=(self._node(number),), b=("m-k8s",), one_way=one_way)

    @rule(number=st.integers(0, 4), kind=st.sampled_from(("kubelet-stop", "node-crash")), lasts=SPANS)
    def lose_machine(self, number: int, kind: str, lasts: str) -> None:
        node = self._node(number)
        if f"lost-{node}" not in self._names():
            self.faults.add(kind, f"lost-{node}", lasts, node=node)

    def _node(self, number: int) -> str:
        names = list(self.cluster.nodes)[1:]
        return names[number % len(names)]

    def _names(self) -> list[str]:
        return [each["name"] for each in self.cluster.faults.list()]

    # judgement

    @invariant()
    def keeps_its_promises(self) -> None:
        wrong = list(self._judge.news())
        if wrong:
            self._fail("\n".join(map(str, wrong[:5])))

    def teardown(self) -> None:
        """All faults heal; the cluster has three minutes to come to what it ought to be."""
        self.faults.heal()
        self.cluster.advance(RECOVERY)
        self.keeps_its_promises()
        missing = unmet(self.cluster.store, self.goals)
        if missing:
            self._fail("\n".join(map(str, missing[:5])))

    def _fail(self, what: str) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", type(self).__qualname__).removesuffix(" (call)")
        raise Broken(f"{what}\n{replay_lines(self.cluster, test)}")
