"""Programs that talk over the network."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import urlsplit

from seatrial.sim.kernel.clock import Signal
from seatrial.sim.workloads.commands.options import parsed, say
from seatrial.sim.workloads.http import wire_bytes
from seatrial.sim.workloads.net import Bound, HttpRequest, HttpResponse, Listener, ports_of
from seatrial.sim.workloads.process import Pipe, Proc

Steps = Generator[Any, Any, int]
REQUEST_US = 1_000
TIMEOUT_US = 120_000_000


class Failed(Exception):
    """A connection that did not come about: kind (resolve, refused, timeout, unreachable) and host."""

    def __init__(self, kind: str, host: str) -> None:
        super().__init__(kind, host)
        self.kind = kind
        self.host = host


def is_address(text: str) -> bool:
    return bool(re.fullmatch(r"\d+\.\d+\.\d+\.\d+", text)) or ":" in text


def reach(
    proc: Proc, host: str, port: int, timeout_us: int = TIMEOUT_US, protocol: str = "TCP"
) -> Generator[Any, Any, tuple[str, Listener]]:
    """(address, listener) behind a name or address. Raises Failed."""
    network = proc.container.world.network
    sandbox = proc.container.sandbox
    yield proc.clock.sleep(REQUEST_US)
    address = host
    if not is_address(host):
        yield proc.clock.sleep(network.lookup_us)
        try:
            address = network.resolve(sandbox, host)[0]
        except TimeoutError:
            raise Failed("resolve", host) from None
        except OSError:
            raise Failed("resolve", host) from None
    try:
        return address, network.connect(sandbox, address, port, protocol)
    except TimeoutError:
        yield proc.clock.sleep(timeout_us)
        raise Failed("timeout", address) from None
    except ConnectionRefusedError:
        raise Failed("refused", address) from None
    except OSError as error:
        raise Failed("unreachable" if error.errno == errno.EHOSTUNREACH else "refused", address) from None


def _target(url: str) -> tuple[str, int, str]:
    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), path


def _follow(proc: Proc, listener: Listener, request: HttpRequest, host: str) -> Generator[Any, Any, HttpResponse]:
    """The answer. Raises Failed when whoever held the port does not run."""
    yield proc.clock.sleep(REQUEST_US)
    try:
        response = listener.http(request)
    except ConnectionRefusedError:
        raise Failed("refused", host) from None
    if response.later is not None:
        later: HttpResponse = yield response.later.wait()
        return later
    return response


def wget(proc: Proc) -> Steps:
    options, urls = parsed(
        proc,
        "qScvs",
        "OTtUYPd",
        {
            "spider": "s",
            "server-response": "S",
            "timeout": "T",
            "quiet": "q",
            "tries": "t",
            "no-check-certificate": "c",
            "header": "U",
            "post-data": "d",
        },
    )
    url = urls[0]
    host, port, path = _target(url)
    timeout_us = int(float(options.get("T", "900")) * 1_000_000)
    try:
        address, listener = yield from reach(proc, host, port, timeout_us)
        headers = {"Host": host, "User-Agent": "Wget", "Connection": "close"}
        method, body = "GET", b""
        if "d" in options:
            method, body = "POST", options["d"].encode(errors="surrogateescape")
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        request = HttpRequest(method, path, headers, body, proc.container.sandbox.ip)
        if "q" not in options:
            proc.err(f"Connecting to {host}:{port} ({address}:{port})\n")
        response = yield from _follow(proc, listener, request, host)
    except Failed as problem:
        text = {
            "resolve": f"bad address '{problem.host}'",
            "refused": f"can't connect to remote host ({problem.host}): Connection refused",
            "unreachable": f"can't connect to remote host ({problem.host}): Host is unreachable",
            "timeout": "download timed out",
        }[problem.kind]
        say(proc, text)
        return 1
    head = wire_bytes(response).split(b"\r\n\r\n", 1)[0].decode(errors="replace").split("\r\n")
    if "S" in options:
        proc.err("".join(f"  {line}\n" for line in head))
    if response.code >= 400:
        say(proc, f"server returned error: {head[0]}")
        return 1
    name = options.get("O") or path.rstrip("/").rpartition("/")[2] or "index.html"
    if "s" in options:
        return 0
    if name == "-":
        proc.out(response.body)
    else:
        proc.fs.write(name, response.body, proc.cwd)
        if "q" not in options:
            proc.err(f"saving to '{name}'\n'{name}' saved\n")
    return 0


CURL_LONG = {
    "silent": "s", "show-error": "S", "fail": "f", "location": "L", "insecure": "k", "verbose": "v", "include": "i",
    "head": "I", "max-time": "m", "connect-timeout": "T", "output": "o", "request": "X", "header": "H", "data": "d",
    "write-out": "w", "user": "u", "retry": "R", "user-agent": "A", "cacert": "E", "fail-with-body": "f",
    "retry-delay": "Z", "interface": "J",
}  # fmt: skip


def curl(proc: Proc) -> Steps:
    headers = {"Host": "", "User-Agent": "curl/8.11.1", "Accept": "*/*"}
    words = proc.argv
    for at, word in enumerate(words[:-1]):
        if word in ("-H", "--header"):
            name, _, value = words[at + 1].partition(":")
            headers[name.strip()] = value.strip()
    options, urls = parsed(proc, "sSfLkviIgqG#N46", "omTXHdwuRAEZJx", CURL_LONG)
    status = 0
    for url in urls:
        status = yield from _curl_one(proc, url, options, headers)
    return status


def _curl_one(proc: Proc, url: str, options: dict[str, str], headers: dict[str, str]) -> Steps:
    host, port, path = _target(url)
    silent = "s" in options and "S" not in options
    limit = options.get("m") or options.get("T")
    timeout_us = int(float(limit) * 1_000_000) if limit else TIMEOUT_US
    method = options.get("X") or ("HEAD" if "I" in options else "POST" if "d" in options else "GET")
    headers = {**headers, "Host": headers["Host"] or (host if port in (80, 443) else f"{host}:{port}")}
    try:
        _, listener = yield from reach(proc, host, port, timeout_us)
        request = HttpRequest(method, path, headers, options.get("d", "").encode(), proc.container.sandbox.ip)
        response = yield from _follow(proc, listener, request, host)
    except Failed as problem:
        code, text = {
            "resolve": (6, f"Could not resolve host: {host}"),
            "refused": (7, f"Failed to connect to {host} port {port} after 0 ms: Could not connect to server"),
            "unreachable": (7, f"Failed to connect to {host} port {port} after 3000 ms: Could not connect to server"),
            "timeout": (28, f"Connection timed out after {timeout_us // 1000} milliseconds"),
        }[problem.kind]
        if not silent:
            proc.err(f"curl: ({code}) {text}\n")
        if "w" in options:
            proc.out(_written(options["w"], 0))
        return code
    if "f" in options and response.code >= 400:
        if not silent:
            proc.err(f"curl: (22) The requested URL returned error: {response.code}\n")
        return 22
    head, _, _ = wire_bytes(response).partition(b"\r\n\r\n")
    data = head + b"\r\n\r\n" if "i" in options or "I" in options else b""
    if method != "HEAD":
        data += response.body
    if "o" in options and options["o"] != "-":
        file = proc.fs.open_file(options["o"], proc.cwd, truncate=True)
        if not file.device:
            file.data = data
    else:
        proc.out(data)
    if "w" in options:
        proc.out(_written(options["w"], response.code))
    return 0


def _written(form: str, code: int) -> str:
    text = form.replace("%{http_code}", f"{code:03d}").replace("%{response_code}", f"{code:03d}")
    return re.sub(r"%\{time_\w+\}", "0.002000", text).replace("\\n", "\n").replace("\\t", "\t")


def nc(proc: Proc) -> Steps:
    options, operands = parsed(proc, "lzvnuktN46q", "pwsei")
    if "l" in options:
        port = int(options.get("p") or operands[-1])
        return (yield from _listen(proc, port, options))
    host, port = operands[0], int(operands[1].split("-")[0])
    wait = int(options.get("w", "60")) * 1_000_000
    try:
        address, listener = yield from reach(proc, host, port, wait, "UDP" if "u" in options else "TCP")
    except Failed as problem:
        if "v" in options or "z" not in options:
            text = {"resolve": "bad address", "timeout": "Connection timed out"}.get(problem.kind, "Connection refused")
            proc.err(
                f"nc: {host} ({problem.host}:{port}): {text}\n"
                if problem.kind != "resolve"
                else f"nc: bad address '{host}'\n"
            )
        return 1
    if "v" in options:
        proc.err(f"{host} ({address}:{port}) open\n")
    if "z" in options:
        return 0
    # Datagrams have no end: the time to wait for more of them says when it is enough.
    return (yield from _talk(proc, listener, wait if "u" in options else None))


def _talk(proc: Proc, listener: Listener, most_us: int | None = None) -> Steps:
    answers = Pipe(proc.clock, bounded=False)
    answers.opened(True)
    closed: list[bool] = []

    def on_close() -> None:
        if not closed:
            closed.append(True)
            answers.closed(True)

    connection = listener.open(answers.write, on_close, proc.container.sandbox.ip)
    if most_us is not None:
        proc.clock.after(most_us, on_close)

    def sending() -> Generator[Any, Any, None]:
        while data := (yield from proc.stdin.read()):
            connection.write(data)
        connection.close_write()

    sender = proc.clock.spawn(sending(), "nc")
    try:
        while data := (yield from answers.read()):
            proc.out(data)
    finally:
        sender.kill()
        connection.close()
    return 0


class Raw:
    """nc -l: one connection at a time, its bytes to standard output and from standard input."""

    def __init__(self, proc: Proc, once: bool) -> None:
        self.proc = proc
        self.done = Signal(proc.clock)
        self._once = once

    def http(self, request: HttpRequest) -> HttpResponse:
        text = f"{request.method} {request.path} HTTP/1.1\r\n" + "".join(
            f"{k}: {v}\r\n" for k, v in request.headers.items()
        )
        self.proc.out(text + "\r\n")
        self.proc.clock.spawn(self._finish(), "nc")
        return HttpResponse(200, {}, b"")

    def _finish(self) -> Generator[Any, Any, None]:
        self.done.fire()
        return
        yield

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        return RawConnection(self, on_data, on_close)


class RawConnection:
    def __init__(self, raw: Raw, on_data: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self._raw = raw
        self._on_close = on_close
        self._process = raw.proc.clock.spawn(self._reply(on_data), "nc")

    def _reply(self, on_data: Callable[[bytes], None]) -> Generator[Any, Any, None]:
        while data := (yield from self._raw.proc.stdin.read()):
            on_data(data)

    def write(self, data: bytes) -> None:
        self._raw.proc.out(data)

    def close_write(self) -> None:
        self.close()
        self._on_close()

    def close(self) -> None:
        self._process.kill()
        self._raw.done.fire()


def _listen(proc: Proc, port: int, options: dict[str, str]) -> Steps:
    raw = Raw(proc, "k" not in options)
    listen(proc, port, raw, "UDP" if "u" in options else "TCP")
    while True:
        yield raw.done.wait()
        if "k" not in options:
            return 0


def listen(proc: Proc, port: int, listener: Listener, protocol: str = "TCP") -> None:
    """Binds a port until the process ends. Raises OSError(EADDRINUSE)."""
    shared = ports_of(proc.container.sandbox)
    ports = shared.listeners
    if (protocol, port) in ports:
        raise OSError(errno.EADDRINUSE, "Address already in use", f"0.0.0.0:{port}")
    shared.rest.stir()
    # Who answers questions keeps no connections.
    bound = listener if hasattr(listener, "ask") else Bound(listener)
    ports[protocol, port] = bound
    if isinstance(bound, Bound):
        proc.on_stop += [bound.hang, lambda _: shared.rest.stir()]

    proc.on_exit.append(lambda _: _release(proc, (protocol, port), bound))
    proc.container.changed.fire()


def unlisten(proc: Proc, port: int, listener: Listener) -> None:
    """Gives a TCP port back before the process ends."""
    bound = ports_of(proc.container.sandbox).listeners.get(("TCP", port))
    if isinstance(bound, Bound) and bound.listener is listener:
        _release(proc, ("TCP", port), bound)


def _release(proc: Proc, place: tuple[str, int], bound: Any) -> None:
    shared = ports_of(proc.container.sandbox)
    shared.rest.stir()
    if shared.listeners.get(place) is bound:
        del shared.listeners[place]
    if isinstance(bound, Bound):
        bound.end()
    proc.container.changed.fire()


def pg_isready(proc: Proc) -> Steps:
    """pg_isready: whether somebody serves at PostgreSQL's port."""
    options, _ = parsed(
        proc, "q", "hpUdt", {"host": "h", "port": "p", "username": "U", "dbname": "d", "timeout": "t", "quiet": "q"}
    )
    host, port = options.get("h", "127.0.0.1"), options.get("p", "5432")
    timeout_us = int(float(options.get("t", "3")) * 1_000_000)
    answers = True
    try:
        yield from reach(proc, host, int(port), timeout_us)
    except Failed:
        answers = False
    if "q" not in options:
        at = f"{options.get('h', '/var/run/postgresql')}:{port}"
        proc.out(f"{at} - {'accepting connections' if answers else 'no response'}\n")
    return 0 if answers else 2


def ping(proc: Proc) -> Steps:
    options, operands = parsed(proc, "qn46", "cwWis")
    host = operands[0]
    network, sandbox = proc.container.world.network, proc.container.sandbox
    try:
        address = host if is_address(host) else network.resolve(sandbox, host)[0]
    except OSError:
        say(proc, f"bad address '{host}'")
        return 1
    count = int(options.get("c", "1000000"))
    alive = True
    try:
        network.connect(sandbox, address, 0, "ICMP")
    except ConnectionRefusedError:
        pass
    except OSError:
        alive = False
    proc.out(f"PING {host} ({address}): 56 data bytes\n")
    for number in range(count):
        if alive:
            proc.out(f"64 bytes from {address}: seq={number} ttl=64 time=0.080 ms\n")
        if number < count - 1 or not alive:
            yield proc.clock.sleep(1_000_000)
    received = count if alive else 0
    loss = 0 if alive else 100
    proc.out(f"\n--- {host} ping statistics ---\n")
    proc.out(f"{count} packets transmitted, {received} packets received, {loss}% packet loss\n")
    if alive:
        proc.out("round-trip min/avg/max = 0.080/0.080/0.080 ms\n")
    return int(not alive)


def ip(proc: Proc) -> int:
    address = proc.container.sandbox.ip
    words = [word for word in proc.argv[1:] if not word.startswith("-")] or ["a"]
    what = words[0]
    if words[1:2] in (["add"], ["del"], ["delete"], ["set"]):
        # Changing the network takes NET_ADMIN. Not modelled: what the change does.
        if proc.container.config.privileged:
            return 0
        proc.err("ip: RTNETLINK answers: Operation not permitted\n")
        return 2
    if what.startswith("r"):
        gateway = address.rpartition(".")[0] + ".1"
        proc.out(
            f"default via {gateway} dev eth0\n{gateway.rpartition('.')[0]}.0/24 dev eth0 scope link  src {address}\n"
        )
        return 0
    broadcast = address.rpartition(".")[0] + ".255"
    proc.out(
        "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue qlen 1000\n"
        "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n    inet 127.0.0.1/8 scope host lo\n"
        "       valid_lft forever preferred_lft forever\n"
        "2: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN> mtu 1500 qdisc noqueue qlen 1000\n"
        "    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff\n"
        f"    inet {address}/24 brd {broadcast} scope global eth0\n       valid_lft forever preferred_lft forever\n"
    )
    return 0


def ifconfig(proc: Proc) -> int:
    address = proc.container.sandbox.ip
    proc.out(
        "eth0      Link encap:Ethernet  HWaddr 02:00:00:00:00:02\n"
        f"          inet addr:{address}  Bcast:{address.rpartition('.')[0]}.255  Mask:255.255.255.0\n"
        "          UP BROADCAST RUNNING MULTICAST  MTU:1500\n\n"
    )
    return 0


def netstat(proc: Proc) -> int:
    proc.out("Active Internet connections (only servers)\n")
    proc.out("Proto Recv-Q Send-Q Local Address           Foreign Address         State       \n")
    for protocol, port in sorted(ports_of(proc.container.sandbox).listeners):
        proc.out(f"{protocol.lower():<5}      0      0 {f'0.0.0.0:{port}':<23} 0.0.0.0:*               LISTEN      \n")
    return 0


COMMANDS: dict[str, Callable[[Proc], Any]] = {
    "wget": wget, "curl": curl, "nc": nc, "ncat": nc, "netcat": nc,
    "pg_isready": pg_isready, "ping": ping, "ip": ip, "ifconfig": ifconfig, "netstat": netstat, "ss": netstat,
}  # fmt: skip
