"""What kubectl itself refuses or words, before or after the server did."""

from __future__ import annotations

import json

import pytest
from kubectl.typist import Typist

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

BOATS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "boats.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "boats", "kind": "Boat"},
        "versions": [{"name": "v1", "served": True, "storage": True,
                      "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def typist() -> Typist:
    cluster = Cluster(ClusterSpec(control_plane_only=True), seed=1)
    cluster.advance("2s")
    typist = Typist(cluster)
    typist.out("create deployment web --image=nginx")
    typist.out("apply -f -", json.dumps(BOATS))
    cluster.advance("2s")
    typist.out("apply -f -", json.dumps({"apiVersion": "example.com/v1", "kind": "Boat", "metadata": {"name": "a"}}))
    return typist


@pytest.mark.parametrize(
    ("line", "stdin", "said"),
    [
        ("create -f -", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}",
         'error: unable to decode "STDIN": json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.name '
         "of type string"),
        ("create -f -", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {x: 1}}",
         'error: unable to decode "STDIN": json: cannot unmarshal number into Go struct field '
         "ObjectMeta.metadata.labels of type string"),
        ("label deploy web a='b c'", "", 'error: invalid label value: "a=b c": a valid label must be an empty string'),
        ("patch deploy web -p '{bad'", "", "Error from server (BadRequest): error decoding patch: invalid character"),
        ("patch boat a -p '{\"x\":1}'", "",
         "error: application/strategic-merge-patch+json is not supported by example.com/v1, Kind=Boat: the body of"),
        ("set resources deploy/web --limits=cpu=1 --requests=cpu=2", "",
         'error: failed to patch resources update to pod template Deployment.apps "web" is invalid'),
        ("set image deploy/web nope=nginx:3", "", 'error: unable to find container named "nope"'),
        ("apply -f -", "apiVersion: v1\nkind: Gadget\nmetadata: {name: x}",
         'error: resource mapping not found for name: "x" namespace: "" from "STDIN": no matches for kind "Gadget" in '
         'version "v1"\nensure CRDs are installed first'),
        ("apply -f nope.yaml", "", 'error: the path "nope.yaml" does not exist'),
        ("exec web", "", "error: you must specify at least one command for the container"),
        ("exec web ls", "", "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND]"),
        ("rollout undo deploy/web", "", "error: no rollout history found"),
        ("taint nodes --all a=b:Sometimes", "", "error: invalid taint effect: Sometimes, unsupported taint effect"),
        ("get pods -l a --field-selector=x=y web", "", "error: name cannot be provided when a selector is specified"),
        ("get deploy web svc/x", "", "error: there is no need to specify a resource type as a separate argument"),
        ("wait --for=nonsense deploy/web", "", 'error: unrecognized condition: "nonsense"'),
        ("create service clusterip s", "", "error: at least one tcp port specifier must be provided"),
        ("config use-context nope", "", 'error: no context exists with the name: "nope"'),
        ("patch deploy web --type=nope -p '{}'", "",
         'error: --type must be one of [json merge strategic], not "nope"\n'),
        ("delete deploy web --cascade=nope", "",
         'error: invalid cascade value (nope). Must be "background", "foreground", or "orphan"\n'),
        ("get deploy --sort-by=.status.nope -o name", "",
         'error: couldn\'t find any field with path "{.status.nope}" in the list of objects'),
        ("autoscale deploy web --cpu-percent=50 --cpu=30% --max=5", "", "Flag --cpu-percent has been deprecated, Use"),
        ("get pods -o custom-columns=", "", "error: custom-columns format specified but no custom columns given\n"),
        ("get pods -o jsonpath='{.items[0'", "", "error: error parsing jsonpath {.items[0, unterminated array\n"),
        ("kustomize /nope", "", "error: must build at directory: not a valid directory"),
    ],
)  # fmt: skip
def test_it_is_refused_in_kubectls_words(typist: Typist, line: str, stdin: str, said: str) -> None:
    assert typist.refused(line, stdin).startswith(said)


@pytest.mark.parametrize(
    ("line", "out", "err"),
    [
        ("patch deploy web -p '{\"spec\":{\"replicas\":3}}' --dry-run=server", "deployment.apps/web patched\n", ""),
        ("label deploy web z=1 --dry-run=client -o jsonpath={.metadata.labels.z}", "1", ""),
        ("annotate deploy web z=1 --dry-run=client -o jsonpath={.metadata.annotations.z}", "1", ""),
        ("get deploy --sort-by=.status.nope", "", "No resources found in default namespace.\n"),
        ("set env deploy/web --from=configmap/kube-root-ca.crt --dry-run=client --prefix=p_"
         " -o jsonpath={.spec.template.spec.containers[0].env[*].name}", "p_CA_CRT",
         "Warning: key ca.crt transferred to CA_CRT\n"),
    ],
)  # fmt: skip
def test_it_tells_what_kubectl_tells(typist: Typist, line: str, out: str, err: str) -> None:
    assert typist(line) == (0, out, err)


def test_a_selector_chooses_among_the_objects_of_a_file_and_what_is_applied_is_not_pruned(typist: Typist) -> None:
    labelled, other = (
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"team": name}}} for name in "ab"
    )
    both = json.dumps({"apiVersion": "v1", "kind": "List", "items": [labelled, other]})
    assert typist.out("apply -f - -l team=a", both) == "configmap/a created\n"
    assert typist.out("apply -f - -l team=a --prune --dry-run=client", both) == "configmap/a unchanged (dry run)\n"


def test_what_is_not_in_a_kubeconfig_can_be_unset(typist: Typist) -> None:
    assert typist.out("config unset users.nope") == 'Property "users.nope" unset.\n'


def test_an_autoscaler_is_made_by_the_flag_that_manuals_use(typist: Typist) -> None:
    code, out, err = typist("autoscale deploy web --cpu-percent=50 --max=5 --dry-run=client -o yaml")
    assert (code, "averageUtilization: 50" in out) == (0, True)
    assert err.startswith("Flag --cpu-percent has been deprecated, Use --cpu with percentage or resource quantity")


def test_record_is_deprecated_and_writes_the_cause(typist: Typist) -> None:
    typist.out("create deployment noted --image=nginx")
    _, _, err = typist("set image deployment/noted nginx=nginx:2 --record")
    assert err == "Flag --record has been deprecated, --record will be removed in the future\n"
    cause = typist.out("get deployment noted -o jsonpath='{.metadata.annotations.kubernetes\\.io/change-cause}'")
    assert cause == "kubectl set image deployment/noted nginx=nginx:2 --record"


def test_an_editor_is_a_function_here(typist: Typist) -> None:
    typist.session.editor = lambda text: text.replace("replicas: 1", "replicas: 4")
    assert typist.out("edit deployment web") == "deployment.apps/web edited\n"
    assert typist.out("get deployment web -o jsonpath={.spec.replicas}") == "4"
    typist.session.editor = lambda text: text
    assert typist("edit deployment web")[2] == "Edit cancelled, no changes made.\n"
