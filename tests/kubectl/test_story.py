"""A day at a terminal, on virtual time: what is typed has the effect, and the words, that kubectl has."""

from __future__ import annotations

import pytest
from kubectl.typist import Typist

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: nginx, image: "nginx:%s", ports: [{containerPort: 80}]}
"""


def test_apply_creates_then_changes_then_leaves_alone(typist: Typist) -> None:
    assert typist.out("apply -f -", WEB % (3, "1.27")) == "deployment.apps/web created\n"
    assert typist.out("apply -f -", WEB % (3, "1.27")) == "deployment.apps/web unchanged\n"
    assert typist.out("apply -f -", WEB % (2, "1.28")) == "deployment.apps/web configured\n"
    typist.cluster.settle()
    assert typist.out("get deployment web") == (
        "NAME   READY   UP-TO-DATE   AVAILABLE   AGE\n"
        f"web    2/2     2            2           {typist.out('get deployment web --no-headers').split()[-1]}\n"
    )


def test_what_was_scaled_by_hand_comes_back_with_the_file(typist: Typist) -> None:
    typist.out("apply -f -", WEB % (3, "1.27"))
    assert typist.out("scale deployment web --replicas=5") == "deployment.apps/web scaled\n"
    assert typist.out("get deployment web -o jsonpath={.spec.replicas}") == "5"
    typist.out("apply -f -", WEB % (3, "1.27"))
    assert typist.out("get deployment web -o jsonpath={.spec.replicas}") == "3"


def test_a_deletion_waits_until_the_object_is_gone(typist: Typist) -> None:
    typist.out("create deployment web --image=nginx")
    typist.cluster.settle()
    pod = typist.out("get pods -o name").strip().removeprefix("pod/")
    before = typist.cluster.now
    assert typist.out(f"delete pod {pod}") == f'pod "{pod}" deleted from default namespace\n'
    assert typist.cluster.now > before
    assert typist.refused(f"get pod {pod}") == f'Error from server (NotFound): pods "{pod}" not found\n'


def test_ages_follow_simulated_time(typist: Typist) -> None:
    typist.out("create configmap cfg --from-literal=a=1")
    typist.cluster.advance("6m5s")
    assert typist.out("get configmap cfg").splitlines()[1].split() == ["cfg", "1", "6m5s"]


def test_the_same_commands_give_the_same_history() -> None:
    def digest() -> str:
        cluster = Cluster(ClusterSpec(nodes=1, addons=False), seed=3)
        cluster.settle()
        typist = Typist(cluster)
        typist.out("apply -f -", WEB % (2, "1.27"))
        cluster.settle()
        typist.out("delete deployment web")
        return cluster.digest()

    assert digest() == digest()


@pytest.fixture(scope="module")
def idle() -> Typist:
    """A cluster that nobody changes."""
    return Typist(Cluster(ClusterSpec(control_plane_only=True)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("get gadgets", 'error: the server doesn\'t have a resource type "gadgets"\n'),
        ("get pods -o wrong", 'error: unable to match a printer suitable for the output format "wrong", '),
        ("get --nonsense", "error: unknown flag: --nonsense\nSee 'kubectl get --help' for usage.\n"),
        ("get -o", "error: flag needs an argument: 'o' in -o\nSee 'kubectl get --help' for usage.\n"),
        ("getx", 'error: unknown command "getx" for "kubectl"\n\nDid you mean this?\n'),
        ("rollout nope", "error: unknown command \"nope\"\nSee 'kubectl rollout -h' for help and examples\n"),
        ("scale deploy web", 'error: required flag(s) "replicas" not set\n'),
        ("delete pods", "error: resource(s) were provided, but no name was specified\n"),
        ("apply", "error: must specify one of -f and -k\n"),
        ("create deployment", 'error: required flag(s) "image" not set\n'),
        ("create ns", "error: exactly one NAME is required, got 0\n"),
    ],
)
def test_what_is_typed_wrongly_is_refused_in_kubectls_words(idle: Typist, line: str, said: str) -> None:
    assert idle.refused(line).startswith(said)
