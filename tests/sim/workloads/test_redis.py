"""A Redis server and its client: what is kept, how it is configured, who copies from whom."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from seatrial.sim.workloads.redis.resp import Problem, Reader, Status, encoded, shown
from tests.sim.workloads.running import Bench, output_of

IMAGE = "docker.io/library/redis:8"


def asked(bench: Bench, *lines: str, tty: bool = False) -> str:
    """What redis-cli says, a line each."""
    said: list[bytes] = []
    container = bench.start(["sleep", "600"], image=IMAGE, name="cli")
    for line in lines:
        container.exec(["sh", "-c", f"redis-cli {line}"], lambda _, data: said.append(data), lambda _: None, tty=tty)
        bench.run(1)
    return b"".join(said).decode().replace("\r\n", "\n")


def test_values_go_over_the_wire_and_back_in_pieces() -> None:
    values = [Status("OK"), Problem("ERR no"), 7, b"a\r\nb", None, [b"x", [1, None]], []]
    reader, found = Reader(), []
    for byte in b"".join(encoded(value) for value in values) + b"PING now\r\n":
        found += reader.feed(bytes([byte]))
    assert found == [*values, [b"PING", b"now"]]


def test_what_is_shown_at_a_terminal() -> None:
    assert shown([b"apple", 3, None, [b'"', Problem("ERR x")]]) == (
        '1) "apple"\n2) (integer) 3\n3) (nil)\n4) 1) "\\""\n   2) (error) ERR x'
    )


def test_a_work_queue() -> None:
    bench = Bench()
    bench.start(None, image=IMAGE)
    bench.run(1)
    text = asked(
        bench, 'rpush job2 "apple" banana', "lpush job2 zero", "lrange job2 0 -1", "lpop job2", "llen job2", tty=True
    )
    assert text == '(integer) 2\n(integer) 3\n1) "zero"\n2) "apple"\n3) "banana"\n"zero"\n(integer) 2\n'


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["set a 1 EX 5", "incr a", "ttl a", "exists a b"], "OK\n2\n3\n1\n"),
        (["set a 1 PX 1", "get a"], "OK\n\n"),
        (["hset h f v g w", "hgetall h", "type h", "get h"], "2\nf\nv\ng\nw\nhash\nWRONGTYPE Operation against a key"),
        (["nosuch 1 2"], "ERR unknown command 'nosuch', with args beginning with: '1' '2'\n"),
        (["get"], "ERR wrong number of arguments for 'get' command\n"),
        (["set a x", "incr a"], "OK\nERR value is not an integer or out of range\n"),
        (["-p 6380 ping"], "Could not connect to Redis at 127.0.0.1:6380: Connection refused\n"),
    ],
)
def test_commands_away_from_a_terminal(lines: list[str], text: str) -> None:
    bench = Bench()
    bench.start(None, image=IMAGE)
    bench.run(1)
    assert asked(bench, *lines).startswith(text)


def test_the_configuration_comes_from_a_file() -> None:
    bench = Bench()
    volume = bench.volume()
    volume.publish({"redis.conf": (b"maxmemory 2mb\nmaxmemory-policy allkeys-lru\n", 0o644)}, bench.clock.now)
    mount = SimpleNamespace(path="/conf", volume=volume, read_only=True, sub_path="")
    bench.start(["redis-server", "/conf/redis.conf"], image=IMAGE, mounts=[mount])
    bench.run(1)
    assert asked(bench, "config get maxmemory", "config get maxmemory-policy") == (
        "maxmemory\n2097152\nmaxmemory-policy\nallkeys-lru\n"
    )


def test_a_file_that_is_not_there_ends_it() -> None:
    bench = Bench()
    container = bench.start(["redis-server", "/nope.conf"], image=IMAGE)
    bench.run(1)
    assert "# Fatal error, can't open config file '/nope.conf': No such file or directory" in output_of(container)
    assert bench.ends[0][0].code == 1


def test_a_password_is_asked_for() -> None:
    bench = Bench()
    bench.start(["redis-server", "--requirepass", "s3"], image=IMAGE)
    bench.run(1)
    assert asked(bench, "ping", "-a s3 ping") == "NOAUTH Authentication required.\nPONG\n"


def test_a_replica_has_what_its_primary_has_and_takes_no_writes() -> None:
    bench = Bench()
    bench.start(None, image=IMAGE)
    bench.run(1)
    asked(bench, "set a 1")
    bench.start(["redis-server", "--port", "6380", "--replicaof", "127.0.0.1", "6379"], image=IMAGE, name="replica")
    bench.run(2)
    text = asked(bench, "set b 2", "-p 6380 mget a b", "-p 6380 set a 3", "info replication | head -2")
    assert text.replace("\r", "") == (
        "OK\n1\n2\nREADONLY You can't write against a read only replica.\n# Replication\nrole:master\n"
    )


def test_a_conversation_at_a_terminal() -> None:
    bench = Bench()
    bench.start(None, image=IMAGE)
    bench.run(1)
    said: list[bytes] = []
    session = bench.start(["sleep", "60"], image=IMAGE, name="cli").exec(
        ["redis-cli"], lambda _, data: said.append(data), lambda _: None, stdin=True, tty=True
    )
    for line in (b'set k "a b"\r', b"get k\r", b"exit\r"):
        bench.run(1)
        session.write_stdin(line)
    bench.run(1)
    assert b"".join(said).decode().replace("\r\n", "\n") == (
        '127.0.0.1:6379> set k "a b"\nOK\n127.0.0.1:6379> get k\n"a b"\n127.0.0.1:6379> exit\n'
    )
