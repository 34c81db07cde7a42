"""From a request on a socket to the API server's pipeline and back: headers, bodies, encodings.

There is one way through for every kind and verb; what a path means is the pipeline's business.
Source: k8s.io/apiserver/pkg/server/filters (cache control, audit ID, request size, panic recovery) and
k8s.io/apiserver/pkg/endpoints/handlers/responsewriters (writers.go).
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote
from weakref import WeakSet

from seatrial.api.kubernetes import encoding
from seatrial.api.kubernetes.audit import Audit
from seatrial.api.kubernetes.inflight import Inflight, too_many
from seatrial.api.kubernetes.times import Times
from seatrial.api.kubernetes.upgrading import upgrade
from seatrial.api.kubernetes.watch import FrameBytes, LogBody, WatchBody
from seatrial.api.kubernetes.wsstreams import Whole, streamed
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Answer, Headers, Incoming, Outgoing, Upgraded
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.apiserver.context import Steps
from seatrial.sim.apiserver.representation import PROTOBUF
from seatrial.sim.apiserver.request import Credentials, Request, Response
from seatrial.sim.apiserver.watching import WatchStream
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.kinds import Kinds

log = logging.getLogger("seatrial")

Object = Mapping[str, Any]
CarryOn = Callable[[Any, Steps[Response], Callable[[Response | None], None]], None]
"""Goes on with a request that has to wait for something on the simulation's clock: what it waits for, the rest of its
way, and whom to give the response (None when it broke).
"""

Submit = Callable[[Request, Callable[[Response | None], object]], bool]
"""Lets a request in that may change something, with whom to give the response; False for one that may not."""
Leave = Callable[[Response], None]
"""Sends a request's response on its way."""

BODY_BYTES_MAX = 3 * 1024 * 1024
WHOLE_BYTES_MAX = 256 * 1024
"""Longer answers are sent in pieces."""
PIECE_BYTES = 64 * 1024
JSON_TYPE = "application/json"
PROTOBUF_STREAM = "application/vnd.kubernetes.protobuf;stream=watch"
PANIC = b"This request caused apiserver to panic. Look in the logs for details.\n"
TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io."
"""How a browser puts a bearer token into a WebSocket's subprotocols."""
PRETTY_AGENTS = ("curl", "Wget", "Mozilla/5.0")
TRUE = ("1", "t", "T", "true", "TRUE", "True")
CONSUMED = frozenset(
    {
        "host", "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type",
        "user-agent", "expect", "transfer-encoding", "upgrade", "te", "kubectl-command", "kubectl-session",
    }
)  # fmt: skip
"""Headers that the pipeline is not handed once more."""


class Pipeline(Protocol):
    """The way to the API server."""

    def serve(self, request: Request) -> Steps[Response]:
        """Yields what it has to wait for, if it has to; returns the response."""


class Kubernetes:
    """The application for everything but the control API.

    ``submit`` takes requests that belong to the history, and says False to others; ``encoded`` gives the bytes of a
    stored object, which the store remembers; ``kinds`` says which fields are times; ``inflight`` limits how many
    requests may wait, and ``audit`` is told of them all; while the API server's process is not ``up``, clients find
    nobody.
    """

    def __init__(
        self,
        server: Pipeline,
        driver: Driver,
        carry_on: CarryOn | None = None,
        submit: Submit | None = None,
        encoded: encoding.Dump = encoding.json_bytes,
        kinds: Kinds | None = None,
        audit_ids: random.Random | None = None,
        inflight: Inflight | None = None,
        audit: Audit | None = None,
        up: Callable[[], bool] = lambda: True,
    ) -> None:
        self._server = server
        self._up = up
        self._driver = driver
        self._carry_on = carry_on or give_up
        self._submit = submit
        self._encoded = encoded
        self._times = Times(kinds or Kinds(()))
        self._frames = FrameBytes(self._times.outward, lambda: driver.offset_us)
        self._audit_ids = audit_ids or random.Random()
        self._inflight = inflight or Inflight()
        self._audit = audit
        self._date = (0, "")
        self._watches: WeakSet[WatchStream] = WeakSet()
        self._bodies: WeakSet[WatchBody | LogBody] = WeakSet()
        self._upgraded: WeakSet[Upgraded] = WeakSet()

    def __call__(self, incoming: Incoming, answer: Answer) -> None:
        """Serves one request at the simulation's present; the answer goes out once its effects are durable."""
        driver = self._driver
        driver.enter()
        if not self._up():
            answer(Outgoing(0, hang_up=True))
            return
        if incoming.too_large:
            self._leave(incoming, answer, too_large())
            return
        request = request_of(incoming)
        leave: Leave = partial(self._leave, incoming, answer)
        if self._audit is not None:
            leave = self._audited(self._audit, incoming, request, leave)
        if self._inflight.refuses(request):
            leave(too_many())
            return
        if offset_us := driver.offset_us:
            self._times.inward(request, offset_us)
        if self._submit is None or not self._submitted(self._submit, request, leave):
            self._begin(incoming, request, leave)

    def _audited(self, audit: Audit, incoming: Incoming, request: Request, leave: Leave) -> Leave:
        audit_id = incoming.headers.setdefault("audit-id", self._audit_id())
        event = audit.received(request, audit_id, incoming.target, incoming.peer.address)

        def audited(response: Response) -> None:
            audit.answered(event, response)
            leave(response)

        return audited

    def _submitted(self, submit: Submit, request: Request, leave: Leave) -> bool:
        """Whether the request was taken. Its answer leaves after the simulation's turn, never in the midst of it."""
        answers: list[Response | None] = []
        is_waiting = False

        def back(response: Response | None) -> None:
            if is_waiting:
                self._inflight.end(request)
                self._driver.release(lambda: leave(response or panicked()))
            else:
                answers.append(response)

        if not submit(request, back):
            return False
        if answers:
            leave(answers[0] or panicked())
        else:
            is_waiting = True
            self._inflight.begin(request)
            self._driver.look()
        return True

    def _begin(self, incoming: Incoming, request: Request, leave: Leave) -> None:
        """Most requests are answered at once; one that has to wait leaves the loop to others meanwhile."""
        steps = self._server.serve(request)
        try:
            waiting = next(steps)
        except StopIteration as done:
            leave(done.value)
        except Exception:
            log.exception("%s %s", incoming.method, incoming.target)
            leave(panicked())
        else:
            self._inflight.begin(request)

            def back(response: Response | None) -> None:
                self._inflight.end(request)
                self._driver.release(lambda: leave(response or panicked()))

            self._carry_on(waiting, steps, back)
            self._driver.look()

    def _leave(self, incoming: Incoming, answer: Answer, response: Response) -> None:
        if not self._up():
            # Its process is gone since the request came.
            if response.streaming and not isinstance(response.body, Connect):
                response.body.close()
            answer(Outgoing(0, hang_up=True))
            return
        try:
            outgoing = self.outgoing(incoming, response)
        except Exception:
            log.exception("encoding the answer to %s %s", incoming.method, incoming.target)
            outgoing = self.outgoing(incoming, panicked())
        self._driver.answer(lambda: answer(outgoing))
        self._driver.look()

    def expire(self, text: str) -> None:
        """Ends all watches with 410 Gone, as those of an etcd that was restored: their clients list anew."""
        for stream in list(self._watches):
            stream.fail(errors.expired(text))

    def hang_up(self) -> None:
        """Ends all that clients hold open (watches, followed logs, connections into pods) as the end of the server's
        process does: in the middle of a sentence."""
        self._driver.enter()
        for upgraded in list(self._upgraded):
            upgraded.break_off()
        for body in list(self._bodies):
            body.break_off()

    # answers

    def outgoing(self, incoming: Incoming, response: Response) -> Outgoing:
        """A response as it goes over the wire."""
        headers = self._headers(incoming, response)
        if response.streaming:
            return self._streaming(incoming, response, headers)
        outgoing = Outgoing(response.code, headers)
        zipped = "gzip" in incoming.headers.get("accept-encoding", "") and response.code == 200
        content = response.body
        if content is None:
            return outgoing
        if isinstance(content, bytes):
            if incoming.upgrade and response.code == 200 and incoming.target.partition("?")[0].endswith("/log"):
                messages = streamed(incoming, Whole(content), events=False)
                if messages is not None:
                    return messages
            fill(outgoing, content, zipped and "Content-Encoding" not in response.headers)
            return outgoing
        self._fill_object(outgoing, content, response.content_type, pretty_wanted(incoming), zipped)
        return outgoing

    def _fill_object(self, outgoing: Outgoing, content: Object, media_type: str, pretty: bool, zipped: bool) -> None:
        """An object or list: from remembered bytes where its times need not be moved, in pieces where it is long."""
        offset_us = self._driver.offset_us
        if media_type == JSON_TYPE and not pretty and not offset_us and is_stored(content):
            fill(outgoing, encoding.escaped(self._encoded(content)) + b"\n", zipped)
            return
        name = encoding.long_field(content)
        if not name:
            shown = self._times.outward(content, offset_us) if offset_us else content
            fill(outgoing, encoding.encode(shown, media_type, pretty), zipped)
            return
        move = self._times.items(content)[1] if offset_us else None
        shift = (lambda item: move(item, offset_us)) if move is not None else None
        outgoing.pieces = encoding.pieces(content, name, media_type, pretty, shift)
        if zipped and encoding.worth_compressing(content, name):
            compress(outgoing)

    def _streaming(self, incoming: Incoming, response: Response, headers: Headers) -> Outgoing:
        """Answers that go on: a watch, a followed log, a connection into a pod."""
        outgoing = self._going_on(incoming, response, headers)
        make = outgoing.upgrade
        if make is not None:

            def remembered(incoming: Incoming, /) -> Upgraded:
                upgraded = make(incoming)
                self._upgraded.add(upgraded)
                return upgraded

            outgoing.upgrade = remembered
        return outgoing

    def _going_on(self, incoming: Incoming, response: Response, headers: Headers) -> Outgoing:
        body, release = response.body, self._driver.stream
        if isinstance(body, WatchStream):
            self._watches.add(body)
            watch = WatchBody(body, response.content_type, self._frames, release)
            self._bodies.add(watch)
            if response.content_type == PROTOBUF:
                headers[2] = ("Content-Type", PROTOBUF_STREAM)
            elif messages := streamed(incoming, watch, events=True):
                return messages
            return Outgoing(response.code, headers, stream=watch)
        if isinstance(body, Connect):
            return upgrade(incoming, body, self._driver)
        log_body = LogBody(body, release)
        self._bodies.add(log_body)
        return streamed(incoming, log_body, events=False) or Outgoing(response.code, headers, stream=log_body)

    def _headers(self, incoming: Incoming, response: Response) -> Headers:
        audit_id = incoming.headers.get("audit-id") or self._audit_id()
        headers = [
            ("Audit-Id", audit_id),
            ("Cache-Control", response.headers.get("Cache-Control", "no-cache, private")),
            ("Content-Type", response.content_type),
            ("Date", self._today()),
        ]
        headers += [(key, value) for key, value in response.headers.items() if key != "Cache-Control"]
        headers += [("Warning", f'299 - "{quoted(text)}"') for text in response.warnings]
        if response.content_type.startswith("text/plain") and response.code >= 400:
            headers.append(("X-Content-Type-Options", "nosniff"))
        return headers

    def _audit_id(self) -> str:
        digits = f"{self._audit_ids.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def _today(self) -> str:
        now = int(time.time())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True))
        return self._date[1]


def is_stored(body: Object) -> bool:
    """Whether a body is a single object of the store, whose bytes are worth remembering."""
    metadata = body.get("metadata")
    return isinstance(metadata, dict) and "resourceVersion" in metadata and "uid" in metadata


def fill(outgoing: Outgoing, content: bytes, zipped: bool) -> None:
    """Puts bytes into an answer: compressed and in pieces where they are long."""
    if len(content) <= encoding.GZIP_BYTES_MIN:
        outgoing.body = content
        return
    if zipped:
        outgoing.pieces = iter((content,))
        compress(outgoing)
    elif len(content) > WHOLE_BYTES_MAX:
        outgoing.pieces = sliced(content)
    else:
        outgoing.body = content


def compress(outgoing: Outgoing) -> None:
    assert outgoing.pieces is not None
    outgoing.pieces = encoding.compressed(outgoing.pieces)
    outgoing.headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]


def sliced(content: bytes) -> Iterator[bytes]:
    """The same bytes, a piece at a time."""
    view = memoryview(content)
    for start in range(0, len(content), PIECE_BYTES):
        yield bytes(view[start : start + PIECE_BYTES])


def quoted(text: str) -> str:
    """A warning's text inside its quotes (net/http.NewWarningHeader), limited to what a header can carry."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return re.sub(r"[\x00-\x1f\x7f]", " ", text).encode("utf-8").decode("latin-1")


def give_up(waiting: Any, steps: Steps[Response], back: Callable[[Response | None], None]) -> None:
    """Where nobody carries requests on, one that has to wait breaks."""
    steps.close()
    back(None)


def panicked() -> Response:
    """The answer of a server whose handler broke (filters.WithPanicRecovery)."""
    return Response(500, PANIC, "text/plain; charset=utf-8")


def too_large() -> Response:
    """The answer to a body over the limit."""
    text = f"Request entity too large: limit is {BODY_BYTES_MAX}"
    return Response(413, errors.ApiError(413, "RequestEntityTooLarge", text).status())


def pretty_wanted(incoming: Incoming) -> bool:
    """Whether a human seems to be reading (responsewriters.isPrettyPrint)."""
    query = incoming.target.partition("?")[2]
    if "pretty=" in query:
        asked = dict(parse_qsl(query)).get("pretty", "")
        if asked:
            return asked in TRUE
    accept = incoming.headers.get("accept", "")
    if "pretty=1" in accept:
        return True
    return incoming.headers.get("user-agent", "").startswith(PRETTY_AGENTS)


def request_of(incoming: Incoming) -> Request:
    """The pipeline's view of a request."""
    path, _, query = incoming.target.partition("?")
    headers = incoming.headers
    rest = {key: value for key, value in headers.items() if key not in CONSUMED}
    return Request(
        method="GET" if incoming.method == "HEAD" else incoming.method,
        path=unquote(path) if "%" in path else path,
        query=query_of(query) if query else {},
        body=incoming.body,
        content_type=headers.get("content-type", ""),
        accept=incoming.header("accept"),
        credentials=credentials_of(incoming),
        user_agent=headers.get("user-agent", ""),
        headers=rest,
    )


def query_of(query: str) -> dict[str, tuple[str, ...]]:
    """Every value of every parameter, in order."""
    found: dict[str, tuple[str, ...]] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        found[key] = (*found[key], value) if key in found else (value,)
    return found


def credentials_of(incoming: Incoming) -> Credentials | None:
    """What the client showed: its certificate, its token, or nothing."""
    scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    if not bearer and incoming.upgrade == "websocket":
        bearer = protocol_token(incoming.headers.get("sec-websocket-protocol", ""))
    peer = incoming.peer
    if not peer.common_name and not bearer:
        return None
    return Credentials(peer.common_name, peer.organizations, bearer_token=bearer)


def protocol_token(subprotocols: str) -> str:
    """The bearer token among a WebSocket's subprotocols."""
    import base64
    import binascii

    for name in subprotocols.replace("\x00", ",").split(","):
        if name.strip().startswith(TOKEN_PROTOCOL):
            encoded = name.strip().removeprefix(TOKEN_PROTOCOL)
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""
