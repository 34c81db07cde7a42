"""Which images there are, and what the runtime says of those that there are not."""

from __future__ import annotations

import json

import pytest

from seatrial.sim.workloads.catalogue import Catalogue, NoSuchImage
from seatrial.sim.workloads.container import Container
from seatrial.sim.workloads.net import HttpRequest
from seatrial.sim.workloads.undescribed import said as said_to
from seatrial.sim.workloads.world import COMMANDS
from tests.sim.workloads.running import Bench, output_of

PULLING = 'failed to pull and unpack image "{0}": failed to resolve reference "{0}": '
REFUSED = {
    "registry.invalid/nothing:1": 'failed to do request: Head "https://registry.invalid/v2/nothing/manifests/1": '
    "dial tcp: lookup registry.invalid on 10.0.2.3:53: no such host",
    "docker.io/library/nginx:1.17.23": "docker.io/library/nginx:1.17.23: not found",
    "docker.io/library/nginx:1.161": "docker.io/library/nginx:1.161: not found",
    "docker.io/library/nginx:nope": "docker.io/library/nginx:nope: not found",
    "docker.io/library/tomcat:quick": "docker.io/library/tomcat:quick: not found",
    "quay.io/somebody/something:no-such-tag": "quay.io/somebody/something:no-such-tag: not found",
    "docker.io/somebody/something:doesnotexist": "docker.io/somebody/something:doesnotexist: not found",
    "docker.io/library/nosuchthing:latest": "pull access denied, repository does not exist or may require "
    "authorization: server message: insufficient_scope: authorization failed",
    "localhost:5000/mine:1": 'failed to do request: Head "https://localhost:5000/v2/mine/manifests/1": '
    "dial tcp 127.0.0.1:5000: connect: connection refused",
}


@pytest.mark.parametrize("reference", sorted(REFUSED))
def test_an_image_that_cannot_be_had(reference: str) -> None:
    with pytest.raises(NoSuchImage) as refusal:
        Catalogue().find(reference)
    assert refusal.value.args[0] == PULLING.format(reference) + REFUSED[reference]


@pytest.mark.parametrize(
    "reference",
    [
        "docker.io/library/nginx:latest",
        "docker.io/library/nginx:1.25-alpine",
        "docker.io/library/golang:1.24",
        "docker.io/library/tomcat:jdk21",
        "docker.io/library/docker:dind",
        "quay.io/somebody/something:v1.2.3",
        "quay.io/somebody/something:RELEASE.2025-04-22T22-12-26Z",
        "quay.io/somebody/something:blue",
        "docker.io/library/redis@sha256:" + "0" * 64,
    ],
)
def test_an_image_that_can(reference: str) -> None:
    assert Catalogue().find(reference).reference == reference


def test_every_program_that_the_catalogue_names_exists() -> None:
    catalogue = Catalogue()
    known = {*COMMANDS, *catalogue.services}
    for base in catalogue.bases.values():
        assert set((base.get("programs") or "").split()) <= known
    for row in catalogue.images.values():
        assert set((row.get("programs") or {}).values()) <= known


@pytest.mark.parametrize(("tag", "version"), [("1.0", "1.0.0"), ("2.0", "2.0.0")])
def test_an_image_says_which_version_it_is(tag: str, version: str) -> None:
    bench = Bench()
    bench.start(None, image=f"gcr.io/google-samples/hello-app:{tag}")
    bench.run(1)
    listener = bench.world.network.connect(bench.sandbox, "127.0.0.1", 8080)
    answer = listener.http(HttpRequest("GET", "/", {}, b"", "172.16.0.9"))
    assert answer.body.decode() == f"Hello, world!\nVersion: {version}\nHostname: p\n"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["perl", "-Mbignum=bpi", "-wle", "print bpi(20)"], "3.1415926535897932385\n"),
        (["perl", "-e", "print 'a', \"b\\n\""], "ab\n"),
        (["perl", "-le", "print 6 * 7"], "42\n"),
        (["perl", "-e", "open(F, 'x'); print <F>"], ""),
    ],
)
def test_perls_one_liners_that_print(argv: list[str], text: str) -> None:
    bench = Bench()
    container = bench.start(argv, image="docker.io/library/perl:5.34.0")
    bench.run(5)
    assert (output_of(container), bench.ends[0][0].code) == (text, 0)


def test_what_stress_takes() -> None:
    bench = Bench()
    burning = bench.start(["/stress", "-cpus", "2"], image="docker.io/vish/stress:latest")
    argv = ["stress", "--vm", "1", "--vm-bytes", "150M", "--vm-hang", "1"]
    holding = bench.start(argv, image="docker.io/polinux/stress:latest")
    bench.run(1)
    assert burning.usage()[0] == 2_000_000_000
    assert (holding.usage()[0], holding.usage()[1] >> 20) == (0, 150)


def test_an_image_that_nobody_described_serves_and_is_noted() -> None:
    bench = Bench()
    bench.start(image="example.com/team/app:v3", ports=(9000,))
    bench.run(2)
    code, body = bench.world.http_get(bench.sandbox, bench.sandbox.ip, 9000, "/", {}, False)
    assert (code, b'"hostname": "p"' in body) == (200, True)
    assert bench.world.catalogue.unknown() == ["example.com/team/app:v3"]


def test_users_add_images_of_their_own() -> None:
    more = {
        "images": {"example.com/shop": {"base": "debian", "cmd": ["shop"], "programs": {"/bin/shop": "shop"}}},
        "services": {"shop": {"kind": "template", "ports": [80], "body": "shop on {hostname}"}},
    }
    catalogue = Catalogue(more)
    assert catalogue.find("example.com/shop:latest").known
    assert catalogue.services["shop"]["ports"] == [80]


class TestServices:
    def test_nginx_serves_its_page_and_ends_politely(self) -> None:
        bench = Bench()
        container = bench.start(image="docker.io/library/nginx:1.27")
        bench.run(1)
        code, body = bench.world.http_get(bench.sandbox, bench.sandbox.ip, 80, "/", {"User-Agent": "probe"}, False)
        assert (code, b"Welcome to nginx!" in body) == (200, True)
        assert bench.world.http_get(bench.sandbox, bench.sandbox.ip, 80, "/no", {}, False)[0] == 404
        assert '"GET / HTTP/1.1" 200' in output_of(container)
        container.signal("TERM")
        bench.run(1)
        assert bench.ends[0][0].code == 0

    def test_a_database_without_a_password_refuses_to_start(self) -> None:
        bench = Bench()
        container = bench.start(image="docker.io/library/postgres:16")
        bench.run(5)
        assert bench.ends[0][0].code == 1
        assert "You must specify POSTGRES_PASSWORD" in output_of(container)

    def test_nobody_listens_after_the_process(self) -> None:
        bench = Bench()
        container = bench.start(image="docker.io/library/nginx:1.27")
        bench.run(1)
        container.signal("KILL")
        with pytest.raises(OSError, match=r"dial tcp 172\.16\.0\.2:80: connect: connection refused"):
            bench.world.connect(bench.sandbox, "172.16.0.2", 80)

    def test_a_database_says_when_it_is_ready(self) -> None:
        bench = Bench()
        container = bench.start(image="docker.io/library/postgres:16", env={"POSTGRES_PASSWORD": "x"})
        seen: list[tuple[bytes, int]] = []
        for wait in (0, 10):
            bench.run(wait)
            told: list[bytes] = []
            container.exec(
                ["pg_isready", "-U", "postgres"],
                lambda _, data, told=told: told.append(data),
                lambda code, told=told: seen.append((b"".join(told), code)),
            )
            bench.run(1)
        assert seen[-1] == (b"/var/run/postgresql:5432 - accepting connections\n", 0)

    def test_the_header_of_an_answer(self) -> None:
        bench = Bench()
        bench.start(image="docker.io/library/nginx:1.27")
        bench.run(1)
        asks = bench.start(["wget", "--server-response", "-qO-", "http://172.16.0.2/"])
        bench.run(1)
        assert output_of(asks).startswith("  HTTP/1.1 200 OK\n  ")

    def test_a_privileged_container_sets_kernel_parameters(self) -> None:
        bench = Bench()
        container = bench.start(["sysctl", "-w", "vm.max_map_count=262144"], privileged=True)
        bench.run(1)
        assert (bench.ends[0][0].code, output_of(container)) == (0, "vm.max_map_count = 262144\n")

    @pytest.mark.parametrize(
        ("annotation", "value", "status", "seconds"),
        [("exit-after", "30s", 0, 30.5), ("leak-per-second", "10Mi", 137, 18.5)],
    )
    def test_annotations_change_what_a_service_does(
        self, annotation: str, value: str, status: int, seconds: float
    ) -> None:
        bench = Bench()
        bench.sandbox.annotations = {f"workload.seatrial.dev/{annotation}": value}
        bench.start(image="example.com/team/app:v3", memory_limit=200 * 1024 * 1024)
        bench.run(60)
        end, when = bench.ends[0]
        assert end.code == status
        assert when == pytest.approx(seconds, abs=0.6)

    def test_consumption_is_what_runs(self) -> None:
        bench = Bench()
        container = bench.start(
            ["stress", "--cpu", "2", "--vm", "1", "--vm-bytes", "64M"], "docker.io/polinux/stress:1"
        )
        bench.run(10)
        cpu, memory = container.usage()
        assert cpu == 3_000_000_000
        assert 64 * 1024 * 1024 <= memory < 70 * 1024 * 1024
        assert container.cpu_total_ns() == 30_000_000_000


class TestWhatNobodyDescribed:
    """An image that the catalogue lacks does what its pod expects of it."""

    IMAGE = "example.com/team/operator:v1"

    def started(self, *, argv: list[str] | None = None, **more: object) -> tuple[Bench, Container]:
        bench = Bench()
        container = bench.start(argv, image=self.IMAGE, ports=(8081,), **more)
        bench.run(3)
        return bench, container

    @pytest.mark.parametrize(
        ("argv", "args"),
        [
            (["/manager"], ["--leader-elect"]),
            (None, ["--leader-elect"]),
            (["sh", "-c", "exec /opt/run.sh"], None),
            (["sh", "-c", "/opt/run.sh --all"], None),
        ],
    )
    def test_its_program_is_there_whatever_its_name(self, argv: list[str] | None, args: list[str] | None) -> None:
        bench, _ = self.started(argv=argv, args=args)
        assert bench.world.http_get(bench.sandbox, bench.sandbox.ip, 8081, "/healthz", {}, False)[0] == 200
        assert not bench.ends

    def test_it_ends_well_where_its_end_is_waited_for(self) -> None:
        bench, _ = self.started(argv=["/migrate"], ends=True)
        assert [end.code for end, _ in bench.ends] == [0]

    @pytest.mark.parametrize(
        ("kind", "asked", "said"),
        [
            ("AdmissionReview", {}, {"allowed": True}),
            (
                "ConversionReview",
                {"desiredAPIVersion": "example.com/v2", "objects": [{"apiVersion": "example.com/v1", "kind": "Thing"}]},
                {
                    "convertedObjects": [{"apiVersion": "example.com/v2", "kind": "Thing"}],
                    "result": {"status": "Success"},
                },
            ),
        ],
    )
    def test_as_a_webhook_it_has_nothing_against_what_it_is_asked(
        self, kind: str, asked: dict[str, object], said: dict[str, object]
    ) -> None:
        body = json.dumps({"apiVersion": "x/v1", "kind": kind, "request": {"uid": "u", **asked}}).encode()
        answer = said_to(HttpRequest("POST", "/", {}, body, ""))
        assert answer == {"apiVersion": "x/v1", "kind": kind, "response": {"uid": "u", **said}}
        assert said_to(HttpRequest("POST", "/", {}, b"{}", "")) is None

    def test_behind_an_api_service_it_serves_no_resources(self) -> None:
        """Whoever discovers all groups gets a list from each."""
        answer = said_to(HttpRequest("GET", "/apis/visibility.example.com/v1beta1?timeout=32s", {}, b"", ""))
        assert answer is not None
        assert (answer["kind"], answer["groupVersion"]) == ("APIResourceList", "visibility.example.com/v1beta1")
        assert answer["resources"] == []

    def test_who_looks_around_finds_what_is_in_the_tree(self) -> None:
        _, container = self.started()
        with pytest.raises(FileNotFoundError):
            container.exec(["psql"], lambda stream, data: None, lambda code: None)

    def test_an_image_that_somebody_described_has_what_it_has(self) -> None:
        with pytest.raises(FileNotFoundError):
            Bench().start(["/manager"], image="docker.io/library/nginx:1.27")


class TestFilesOfAnUndescribedImage:
    """What its pod copies out of it is there."""

    IMAGE = "example.com/team/app:v3"

    def ran(self, line: str) -> tuple[int, str]:
        bench = Bench()
        container = bench.start(["sh", "-c", line], self.IMAGE)
        bench.run(2)
        return bench.ends[0][0].code, output_of(container)

    def test_a_program_is_copied_and_runs_elsewhere(self) -> None:
        assert self.ran("mkdir /tools && cp --update=none /usr/local/bin/tool /tools/ && test -x /tools/tool") == (
            0,
            "",
        )

    def test_directories_and_unknown_names(self) -> None:
        assert self.ran("mkdir /t && cp -r /plugins /t && cp -a /libs/. /t && cp /more/* /t && ls /t") == (
            0,
            "plugins\n",
        )

    @pytest.mark.parametrize("place", ["/tmp/made", "/run/app.pid", "/dev/gpu0"])
    def test_what_no_image_ships_is_not_there(self, place: str) -> None:
        assert self.ran(f"cp {place} /x") == (1, f"cp: can't stat '{place}': No such file or directory\n")

    def test_nor_is_what_others_look_for(self) -> None:
        assert self.ran("test -e /usr/local/bin/tool")[0] == 1

    def test_a_client_asks_truly(self) -> None:
        line = "until nc -z 127.0.0.1 9; do sleep 1; [ $((i += 1)) = 2 ] && break; done; curl -s http://127.0.0.1:9/"
        bench = Bench()
        container = bench.start(["sh", "-c", f"i=0; {line}; echo $?"], self.IMAGE)
        bench.run(5)
        assert output_of(container) == "7\n"
