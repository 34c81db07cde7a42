"""/metrics of every component, read over the network of a whole cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery.metrics import Family, Meters, exposition, families, number
from seatrial.sim.network.requests import origin_of
from tests.exposition import Read, read

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: c
        image: nginx
        readinessProbe: {httpGet: {port: 80}, periodSeconds: 5}
        resources: {requests: {cpu: 100m}, limits: {cpu: 200m, memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules:
- {apiGroups: [""], resources: [nodes/metrics], verbs: [get]}
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
---
apiVersion: v1
kind: Pod
metadata: {name: too-big}
spec: {containers: [{name: c, image: nginx, resources: {requests: {cpu: "1000"}}}]}
"""
PAGES = {
    "kube-apiserver": "https://m-k8s:6443/metrics",
    "kube-controller-manager": "https://m-k8s:10257/metrics",
    "kube-scheduler": "https://m-k8s:10259/metrics",
    "kubelet": "https://w1-k8s:10250/metrics",
    "probes": "https://w1-k8s:10250/metrics/probes",
    "cadvisor": "https://w1-k8s:10250/metrics/cadvisor",
    "resource": "https://w1-k8s:10250/metrics/resource",
    "kube-proxy": "http://w1-k8s:10249/metrics",
}


class Scraper:
    """Reads pages over the network, with a token or without."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        path = "/api/v1/namespaces/default/serviceaccounts/reader/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        self.token = cluster.request(Request("POST", path, body=body)).body["status"]["token"]

    def get(self, url: str, token: str = "") -> Any:
        assert self.cluster.networking is not None
        requests = self.cluster.networking.requests
        found: list[Any] = []
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        origin = origin_of(requests.plane, "node/m-k8s" if ".svc." in url else "outside")
        requests.call(origin, url, lambda answer, problem: found.append(answer or problem), headers=headers)
        self.cluster.advance("1s")
        return found[0]

    def page(self, name: str) -> dict[str, Read]:
        answer = self.get(PAGES[name], self.token)
        assert answer.code == 200, answer
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return read(answer.body.decode())


@pytest.fixture(scope="module")
def scraper() -> Iterator[Scraper]:
    cluster = Cluster(ClusterSpec(nodes=2), seed=11, verify=True)
    cluster.settle()
    cluster.apply(MANIFEST)
    cluster.settle()
    cluster.advance("1m")
    yield Scraper(cluster)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_in_the_format(scraper: Scraper, name: str) -> None:
    assert scraper.page(name)


@pytest.mark.parametrize(
    "name", ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"]
)
def test_families_have_upstreams_types_helps_and_labels(scraper: Scraper, name: str) -> None:
    page, known = scraper.page(name), families(name)
    missing = [each for each in known if each not in page and each != "prober_probe_total"]
    assert not missing
    for family, about in page.items():
        expected = known[family]
        assert (about.type, about.help) == (expected.type, expected.help.replace("\\", "\\\\"))
        for sample in about.samples:
            assert tuple(sorted(sample.labels.keys() - {"le"})) == expected.labels
        bounds = {sample.labels["le"] for sample in about.samples if "le" in sample.labels}
        assert bounds in (set(), {*map(number, expected.buckets), "+Inf"})


def test_who_may_not_read_is_told_so(scraper: Scraper) -> None:
    assert scraper.get(PAGES["kubelet"]).code == 401
    assert scraper.get(PAGES["kubelet"], "nonsense").code == 401
    assert scraper.get("https://w1-k8s:10250/pods", scraper.token).code == 403
    assert scraper.get("https://w1-k8s:10250/nothing", scraper.token).code == 403
    assert scraper.get(PAGES["kube-scheduler"]).code == 403
    assert scraper.get("https://m-k8s:10257/healthz").code == 200
    assert scraper.get(PAGES["kube-proxy"]).code == 200
    assert scraper.get("http://w1-k8s:10256/healthz").code == 200


def test_requests_are_counted_by_what_they_ask(scraper: Scraper) -> None:
    about = {"verb": "POST", "resource": "services", "scope": "resource", "group": "", "version": "v1"}
    before = scraper.page("kube-apiserver")["apiserver_request_total"].value(code="409", **about)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    scraper.cluster.request(Request("POST", "/api/v1/namespaces/default/services", body=service))
    page = scraper.page("kube-apiserver")
    assert page["apiserver_request_total"].value(code="409", **about) == before + 1
    durations = [each for each in page["apiserver_request_duration_seconds"].samples if each.name.endswith("_count")]
    assert sum(each.value for each in durations) == page["apiserver_request_total"].value()
    assert page["apiserver_resource_objects"].value(resource="pods") == len(scraper.cluster.list("pods"))


def test_the_scheduler_counts_what_it_tried(scraper: Scraper) -> None:
    page = scraper.page("kube-scheduler")
    assert page["scheduler_pending_pods"].value(queue="unschedulable") == 1
    assert page["scheduler_schedule_attempts_total"].value(result="unschedulable") >= 1
    bound = [pod for pod in scraper.cluster.list("pods") if pod["spec"].get("nodeName")]
    by_scheduler = [pod for pod in bound if not pod["metadata"]["name"].endswith("m-k8s")]
    assert page["scheduler_schedule_attempts_total"].value(result="scheduled") >= len(by_scheduler) - 3


def test_queues_of_controllers(scraper: Scraper) -> None:
    page = scraper.page("kube-controller-manager")
    for name in ("deployment", "replicaset", "endpoint_slice"):
        assert page["workqueue_adds_total"].value(name=name) > 0
        assert page["workqueue_depth"].value(name=name) == 0
    assert page["leader_election_master_status"].value(name="kube-controller-manager") == 1
    assert page["node_collector_zone_size"].value() == 3
    assert page["rest_client_requests_total"].value(code="201", method="POST") > 0


def test_a_kubelet_counts_its_pods_and_probes(scraper: Scraper) -> None:
    on_node = [pod for pod in scraper.cluster.list("pods") if pod["spec"].get("nodeName") == "w1-k8s"]
    page = scraper.page("kubelet")
    assert page["kubelet_running_pods"].value() == len(on_node)
    assert page["kubelet_pod_start_sli_duration_seconds"].samples[-1].value == len(on_node)
    probes = scraper.page("probes")["prober_probe_total"]
    of_web = probes.value(namespace="default", container="c", probe_type="Readiness", result="successful")
    assert of_web >= 11
    usage = scraper.page("cadvisor")["container_memory_working_set_bytes"]
    assert {each.labels["pod"] for each in usage.samples} == {pod["metadata"]["name"] for pod in on_node}
    assert scraper.page("cadvisor")["container_spec_cpu_quota"].value(namespace="default") % 20_000 == 0


def test_the_proxy_tells_how_long_endpoints_take_to_be_programmed(scraper: Scraper) -> None:
    page = scraper.page("kube-proxy")
    assert page["kubeproxy_network_programming_duration_seconds"].samples[-1].value > 0
    assert page["kubeproxy_sync_proxy_rules_duration_seconds"].samples[-1].value > 0


def test_a_process_that_is_gone_answers_nothing_and_begins_anew(scraper: Scraper) -> None:
    cluster = scraper.cluster
    began = scraper.page("kube-scheduler")["process_start_time_seconds"].value()
    name = cluster.add_fault({"kind": "component-stop", "component": "kube-scheduler"})
    assert isinstance(scraper.get(PAGES["kube-scheduler"], scraper.token), ConnectionRefusedError)
    cluster.remove_fault(name)
    cluster.advance("30s")
    page = scraper.page("kube-scheduler")
    assert page["process_start_time_seconds"].value() > began
    assert page["scheduler_schedule_attempts_total"].value(result="scheduled") == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (17, "17"),
        (1e6, "1e+06"),
        (1234567, "1.234567e+06"),
        (0.005, "0.005"),
        (1e-05, "1e-05"),
        (-2.5, "-2.5"),
    ],
)
def test_numbers_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert number(value) == text


def test_labels_and_helps_are_escaped() -> None:
    family = Family("a", "gauge", "one\\two\nthree", ("x",), ())
    text = exposition([family], {"a": {('say "hi"\\\n',): 1}}).decode()
    assert text == '# HELP a one\\\\two\\nthree\n# TYPE a gauge\na{x="say \\"hi\\"\\\\\\n"} 1\n'


def test_openmetrics_names_counters_without_their_suffix() -> None:
    family = Family("a_total", "counter", "A.", (), ())
    assert (
        exposition([family], {"a_total": 2}, open_metrics=True)
        .decode()
        .endswith("# TYPE a counter\na_total 2\n# EOF\n")
    )


def test_histograms_add_up() -> None:
    meters = Meters("kube-proxy")
    for us in (500, 1_000, 3_000_000, 90_000_000):
        meters.observe("kubeproxy_sync_proxy_rules_duration_seconds", us)
    found = read(meters.text({}).decode())["kubeproxy_sync_proxy_rules_duration_seconds"]
    assert found.samples[0].value == 2 and found.samples[-1].value == 4


EXPORTERS = """
apiVersion: v1
kind: Namespace
metadata: {name: monitoring}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kube-state-metrics, namespace: monitoring}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kube-state-metrics}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: kube-state-metrics, namespace: monitoring}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kube-state-metrics, namespace: monitoring}
spec:
  selector: {matchLabels: {app: ksm}}
  template:
    metadata: {labels: {app: ksm}}
    spec:
      serviceAccountName: kube-state-metrics
      containers:
      - name: kube-state-metrics
        image: registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.20.0
        readinessProbe: {httpGet: {path: /readyz, port: 8081}}
---
apiVersion: v1
kind: Service
metadata: {name: kube-state-metrics, namespace: monitoring}
spec: {selector: {app: ksm}, ports: [{name: http, port: 8080}, {name: self, port: 8081}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-exporter, namespace: monitoring}
spec:
  selector: {matchLabels: {app: exporter}}
  template:
    metadata: {labels: {app: exporter}}
    spec:
      hostNetwork: true
      containers:
      - name: node-exporter
        image: quay.io/prometheus/node-exporter:v1.10.2
        ports: [{containerPort: 9100, hostPort: 9100}]
"""


@pytest.fixture(scope="module")
def exporters(scraper: Scraper) -> Scraper:
    cluster = scraper.cluster
    documents = EXPORTERS.split("---", 1)
    cluster.apply(documents[0])
    cluster.settle()
    cluster.apply(documents[1])
    cluster.settle()
    cluster.advance("40s")
    return scraper


def test_objects_are_told_by_kube_state_metrics(exporters: Scraper) -> None:
    cluster = exporters.cluster
    answer = exporters.get("http://kube-state-metrics.monitoring.svc.cluster.local:8080/metrics")
    page = read(answer.body.decode())
    pods = cluster.list("pods")
    assert page["kube_pod_info"].value() == len(pods)
    assert page["kube_pod_status_phase"].value(phase="Pending") == 1
    assert page["kube_pod_status_phase"].value() == len(pods)
    assert page["kube_deployment_status_replicas_available"].value(deployment="web", namespace="default") == 3
    assert page["kube_node_status_condition"].value(condition="Ready", status="true") == 3
    assert page["kube_node_status_condition"].value(condition="Ready") == 3
    assert page["kube_pod_container_resource_requests"].value(resource="cpu", container="c", namespace="default") == (
        pytest.approx(1000.3)
    )
    assert page["kube_service_info"].value() == len(cluster.list("services"))
    known = families("kube-state-metrics")
    for name, family in page.items():
        assert (family.type, family.help) == (known[name].type, known[name].help)
        assert all(tuple(sorted(sample.labels)) == known[name].labels for sample in family.samples), name
    own = exporters.get("http://kube-state-metrics.monitoring.svc.cluster.local:8081/metrics")
    assert read(own.body.decode())["kube_state_metrics_list_total"].value(resource="pod", result="success") == 1


def test_a_machine_is_told_by_its_node_exporter(exporters: Scraper) -> None:
    page = read(exporters.get("http://w1-k8s:9100/metrics").body.decode())
    assert page["node_uname_info"].value(nodename="w1-k8s") == 1
    total = page["node_memory_MemTotal_bytes"].value()
    assert total == 4 * 1024**3 and 0 < page["node_memory_MemAvailable_bytes"].value() < total
    assert page["node_cpu_seconds_total"].value(mode="idle") > page["node_cpu_seconds_total"].value(mode="user") > 0
    for name, family in page.items():
        assert family.type == families("node-exporter")[name].type
