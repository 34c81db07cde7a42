"""Requests and answers on the wire, in front of a pipeline that answers what the test wants."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import httpx
import pytest

from seatrial.api.kubernetes import wire
from seatrial.api.kubernetes.wire import Kubernetes
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Incoming, Peer
from seatrial.sim.apiserver.request import Credentials, Request, Response
from seatrial.sim.apiserver.watching import WatchStream
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.store.store import Store
from tests.api.server.harness import DEADLINE_S, client_context, edge, keys, story

POD: dict[str, Any] = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "uid": "u", "resourceVersion": "3"}}
Answerer = Callable[[Request], Response]


class Pipeline:
    """Answers with a function of the request, and remembers what was asked."""

    def __init__(self, answer: Answerer) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    def serve(self, request: Request) -> Generator[Any, Any, Response]:
        self.asked.append(request)
        return self.answer(request)
        yield


def talk(
    answer: Answerer, run: Callable[[httpx.AsyncClient, Pipeline], Coroutine[Any, Any, None]], **options: Any
) -> None:
    async def main() -> None:
        pipeline, driver = Pipeline(answer), Driver(Clock(0))
        driver.start(asyncio.get_running_loop())
        async with (
            edge(Kubernetes(pipeline, driver, **options), secure=True) as listener,
            httpx.AsyncClient(
                base_url=f"https://127.0.0.1:{listener.port}", verify=client_context(keys().admin), timeout=DEADLINE_S
            ) as client,
        ):
            await run(client, pipeline)
        driver.stop()

    story(main)


def test_the_pipeline_sees_what_the_client_sent() -> None:
    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        await client.post(
            "/api/v1/namespaces/a%20b/pods?dryRun=All&x=1&x=2",
            content=b"{}",
            headers=[
                ("Content-Type", "application/yaml"),
                ("Accept", "application/json"),
                ("Accept", "text/plain"),
                ("User-Agent", "kubectl/v1.37"),
                ("Impersonate-Group", "one"),
                ("Impersonate-Group", "two"),
            ],
        )
        (request,) = pipeline.asked
        assert (request.method, request.path) == ("POST", "/api/v1/namespaces/a b/pods")
        assert request.query == {"dryRun": ("All",), "x": ("1", "2")}
        assert (request.body, request.content_type) == (b"{}", "application/yaml")
        assert (request.accept, request.user_agent) == ("application/json, text/plain", "kubectl/v1.37")
        assert request.headers == {"impersonate-group": "one\x00two"}
        assert request.credentials == Credentials("kubernetes-admin", ("system:masters",))

    talk(lambda request: Response(200, POD), run)


def test_an_answer_carries_the_servers_headers() -> None:
    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        answer = await client.get("/x", headers={"User-Agent": "kubectl"})
        assert answer.status_code == 409
        assert answer.content == json.dumps(POD, separators=(",", ":")).encode() + b"\n"
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.headers["Audit-Id"])
        assert answer.headers["Cache-Control"] == "no-cache, private"
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers.get_list("Warning") == ['299 - "say \\"no\\""', '299 - "two lines"']
        named = await client.get("/x", headers={"Audit-Id": "mine"})
        assert named.headers["Audit-Id"] == "mine"

    warnings = ('say "no"', "two\nlines")
    talk(lambda request: Response(409, POD, warnings=warnings, headers={"Retry-After": "1"}), run)


@pytest.mark.parametrize(
    ("target", "agent", "pretty"),
    [
        ("/x", "kubectl/v1.37", False),
        ("/x", "curl/8", True),
        ("/x", "Mozilla/5.0 (X11)", True),
        ("/x?pretty=true", "kubectl", True),
        ("/x?pretty=1", "kubectl", True),
        ("/x?pretty=0", "curl/8", False),
        ("/x?pretty=", "curl/8", True),
    ],
)
def test_humans_get_indented_json(target: str, agent: str, pretty: bool) -> None:
    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        answer = await client.get(target, headers={"User-Agent": agent})
        indent, separators = (2, (",", ": ")) if pretty else (None, (",", ":"))
        assert answer.text == json.dumps(POD, indent=indent, separators=separators) + "\n"

    talk(lambda request: Response(200, POD), run)


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize("kind", ["list", "object", "bytes"])
def test_only_large_answers_are_compressed(kind: str, accepts: bool) -> None:
    items = [{"metadata": {"name": str(n)}, "data": {"k": "v" * 100}} for n in range(3000)]
    large: dict[str, Any] = {
        "list": {"kind": "List", "items": items},
        "object": {"kind": "ConfigMap", "data": {"k": "v" * 300_000}},
        "bytes": b"x" * 3_000_000,
    }

    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        headers = {"Accept-Encoding": "gzip" if accepts else "identity"}
        answer = await client.get("/large", headers=headers)
        assert ("Content-Encoding" in answer.headers) is accepts
        content = large[kind]
        assert (answer.content if isinstance(content, bytes) else answer.json()) == content
        small = await client.get("/small", headers=headers)
        assert "Content-Encoding" not in small.headers

    talk(lambda request: Response(200, large[kind] if request.path == "/large" else POD), run)


def test_a_compressed_list_is_plain_gzip() -> None:
    body = {"kind": "List", "items": [{"metadata": {"name": "n" * 2000}}] * 200}

    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        async with client.stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as answer:
            raw = b"".join([part async for part in answer.aiter_raw()])
        assert json.loads(gzip.decompress(raw)) == body

    talk(lambda request: Response(200, body), run)


def test_a_body_over_three_mebibytes_is_refused_in_upstreams_words() -> None:
    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        answer = await client.post("/x", content=b"x" * (3 * 1024 * 1024 + 1))
        assert answer.status_code == 413
        assert answer.json()["message"] == "Request entity too large: limit is 3145728"
        assert answer.json()["reason"] == "RequestEntityTooLarge"
        assert pipeline.asked == []

    talk(lambda request: Response(200, POD), run)


def test_head_is_a_get_without_a_body() -> None:
    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        answer = await client.head("/x")
        assert (answer.status_code, answer.content) == (200, b"")
        assert pipeline.asked[0].method == "GET"
        assert int(answer.headers["Content-Length"]) > 10

    talk(lambda request: Response(200, POD), run)


def test_a_defect_in_the_pipeline_is_a_500_and_the_server_lives(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: Request) -> Response:
        if request.path == "/broken":
            raise KeyError("a defect")
        return Response(200, POD)

    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        answer = await client.get("/broken")
        assert answer.status_code == 500
        assert answer.text == "This request caused apiserver to panic. Look in the logs for details.\n"
        assert (await client.get("/fine")).status_code == 200

    talk(broken, run)
    assert "a defect" in caplog.text


def test_a_request_that_waits_holds_up_nobody_else() -> None:
    waiting_for: list[tuple[str, Callable[[Response | None], None]]] = []

    class Waiting(Pipeline):
        def serve(self, request: Request) -> Generator[Any, Any, Response]:
            if request.path == "/webhook":
                yield "the webhook"
            return Response(200, POD)

    async def main() -> None:
        driver = Driver(Clock(0))
        driver.start(asyncio.get_running_loop())
        pipeline = Waiting(lambda request: Response(200))
        app = Kubernetes(pipeline, driver, lambda what, steps, back: waiting_for.append((what, back)))
        async with (
            edge(app) as listener,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", timeout=DEADLINE_S) as client,
        ):
            for answer, code in ((Response(201, POD), 201), (None, 500)):
                pending = asyncio.ensure_future(client.post("/webhook"))
                assert (await client.get("/other")).json() == POD
                assert not pending.done()
                while not waiting_for:
                    await asyncio.sleep(0)
                what, back = waiting_for.pop()
                assert what == "the webhook"
                back(answer)
                assert (await pending).status_code == code
        driver.stop()

    story(main)


@pytest.mark.parametrize(
    ("headers", "upgrade", "token"),
    [
        ({"authorization": "Bearer abc"}, "", "abc"),
        ({"authorization": "bearer abc"}, "", "abc"),
        ({"authorization": "Basic abc"}, "", ""),
        (
            {"sec-websocket-protocol": "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.YWJj"},
            "websocket",
            "abc",
        ),
        ({"sec-websocket-protocol": "base64url.bearer.authorization.k8s.io.!"}, "websocket", ""),
        ({"sec-websocket-protocol": "base64url.bearer.authorization.k8s.io.YWJj"}, "", ""),
    ],
)
def test_bearer_tokens(headers: dict[str, str], upgrade: str, token: str) -> None:
    found = wire.credentials_of(Incoming("GET", "/", headers, b"", Peer(), upgrade=upgrade))
    assert (found.bearer_token if found else "") == token


def configmap(name: str, value: str = "") -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "n"}, "data": {"v": value}}


def test_a_watch_is_lines_of_json_and_shares_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from seatrial.api.kubernetes import watch as watch_module

    store = Store(Clock(0))
    encoded: list[str] = []
    plain = watch_module.frame_bytes

    def counting(kind: str, obj: Any, media_type: str) -> bytes:
        encoded.append(kind)
        return plain(kind, obj, media_type)

    monkeypatch.setattr(watch_module, "frame_bytes", counting)

    def answer(request: Request) -> Response:
        cursor = store.watch("configmaps", store.revision)
        return Response(200, WatchStream(cursor, None, None, lambda at: {}), streaming=True)

    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        async with client.stream("GET", "/a") as first, client.stream("GET", "/b") as second:
            lines = [first.aiter_lines(), second.aiter_lines()]
            created = store.create("configmaps", configmap("a"))
            for each in lines:
                assert json.loads(await anext(each)) == {"type": "ADDED", "object": created}
            changed = store.update("configmaps", configmap("a", "new"))
            for each in lines:
                assert json.loads(await anext(each)) == {"type": "MODIFIED", "object": changed}
        assert encoded == ["ADDED", "MODIFIED"]

    talk(answer, run)


def test_a_watcher_that_does_not_read_delays_no_other() -> None:
    store = Store(Clock(0), retain=500)
    store.create("configmaps", configmap("a"))
    streams: list[WatchStream] = []

    def answer(request: Request) -> Response:
        streams.append(WatchStream(store.watch("configmaps", store.revision), None, None, lambda at: {}))
        return Response(200, streams[-1], streaming=True)

    async def run(client: httpx.AsyncClient, pipeline: Pipeline) -> None:
        async with client.stream("GET", "/slow") as slow, client.stream("GET", "/quick") as quick:
            lines = quick.aiter_lines()
            for n in range(3000):
                store.update("configmaps", configmap("a", f"{n}" * 2000))
                if n % 10 == 9:
                    for _ in range(10):
                        await anext(lines)
            seen = [json.loads(line)["type"] async for line in slow.aiter_lines()]
            assert seen[-1] == "ERROR"
            assert len(seen) < 3000

    talk(answer, run)
