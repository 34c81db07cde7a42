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
        (["nosuch 1 2"], "ERR unknown command 'nosuch', with args beginning with: '1' '2' \n"),
        (["nosuch; echo $?", "-e nosuch; echo $?"], "ERR unknown command 'nosuch', with args beginning with: \n0\n"),
        (["-e get; echo $?"], "ERR wrong number of arguments for 'get' command\n1\n"),
        (
            ["rpush l 1 2 3", "lrange l 0 -5", "lrange l -2 -1", "rpop l 5", "lpop l -1"],
            "3\n\n2\n3\n3\n2\n1\nERR value is",
        ),
        (
            ["set a 5 EX 0", "set a 9223372036854775807", "incr a"],
            "ERR invalid expire time in 'set' command\nOK\nERR inc",
        ),
        (
            ["set a 1_0", "incr a", "set a 1 EX 5 NX", "set a 2 XX GET", "ttl a"],
            "OK\nERR value is not an integer or out of range\n\n1_0\n-1\n",
        ),
        (
            ["config set requirepass Secret", "ping", "-a Secret --no-auth-warning ping"],
            "OK\nNOAUTH Authentication required.\nPONG\n",
        ),
        (
            ["config get 'maxmemory*'", "config set nope 1"],
            "maxmemory\n0\nmaxmemory-policy\nnoeviction\nERR Unknown option",
        ),
        (
            ["-u redis://localhost:6379 ping", "-p 99999 ping", "-p x ping", "-z"],
            "PONG\nInvalid server port.\nInvalid server port.\nUnrec",
        ),
        (["-r 2 -i 0.1 incr a", "-x set b < /etc/hostname", "get b", "--scan --pattern 'b*'"], "1\n2\nOK\np\n\nb\n"),
        (
            ["hset h a 1 b 2", "hincrby h a 4", "hmget h a z", "rename h g", "type g", "scan 0 match g"],
            "2\n5\n5\n\nOK\nhash\n0\ng\n",
        ),
        (["echo \"$(printf 'a\\nb')\"", "\"$(printf 'a\\nb')\""], "a\nb\nERR unknown command 'a b'"),
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
    warning = "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n"
    assert asked(bench, "ping", "-a s3 ping") == f"NOAUTH Authentication required.\n{warning}PONG\n"
    assert asked(bench, "sync", "--user x -a s3 --no-auth-warning ping") == (
        "NOAUTH Authentication required.\n"
        "AUTH failed: WRONGPASS invalid username-password pair or user is disabled.\nNOAUTH Authentication required.\n"
    )


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


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--port", "x"], ">>> 'port x'\nargument couldn't be parsed into an integer\n"),
        (["--replicaof", "leader"], ">>> 'replicaof leader'\nwrong number of arguments\n"),
        (["--replicaof", "leader", "x"], ">>> 'replicaof leader x'\nInvalid master port\n"),
    ],
)
def test_a_setting_that_says_nonsense_ends_it(argv: list[str], said: str) -> None:
    bench = Bench()
    container = bench.start(["redis-server", *argv], image=IMAGE)
    bench.run(1)
    assert output_of(container).endswith(said)
    assert bench.ends[0][0].code == 1


@pytest.mark.parametrize(
    "data", [b"*1\r\n" * 5000, b"*99999999\r\n", b"$x\r\n", b"*1\r\n:99999999999\r\n", b":1\r\n", b"*1\r\n$-1\r\n"]
)
def test_what_is_no_request_ends_a_connection(data: bytes) -> None:
    bench = Bench()
    bench.start(None, image=IMAGE)
    bench.run(1)
    said: list[bytes] = []
    closed: list[bool] = []
    listener = bench.world.network.connect(bench.sandbox, "127.0.0.1", 6379)
    listener.open(said.append, lambda: closed.append(True), "172.16.0.9").write(data)
    assert b"".join(said).startswith(b"-ERR Protocol error")
    assert closed


def test_a_replica_becomes_another_s_and_then_its_own() -> None:
    bench = Bench()
    bench.start(None, image=IMAGE)
    for port in ("6380", "6381"):
        argv = ["redis-server", "--port", port, *(["--replicaof", "127.0.0.1", "6379"] if port == "6381" else [])]
        bench.start(argv, image=IMAGE, name=port)
    bench.run(2)
    asked(bench, "set from one ex 60", "-p 6380 set from two")
    assert asked(bench, "-p 6381 get from", "-p 6381 replicaof 127.0.0.1 6380") == "one\nOK\n"
    bench.run(2)
    assert asked(bench, "set from three", "-p 6381 get from", "-p 6381 ttl from") == "OK\ntwo\n-1\n"
    asked(bench, "-p 6381 replicaof no one", "-p 6380 set from four")
    assert asked(bench, "-p 6381 get from", "-p 6381 set from five", "-p 6380 role") == "two\nOK\nmaster\n0\n\n"


def test_a_replica_of_one_that_asks_for_a_password_says_so() -> None:
    bench = Bench()
    bench.start(["redis-server", "--requirepass", "s3"], image=IMAGE)
    follows = ["redis-server", "--port", "6380", "--replicaof", "127.0.0.1", "6379"]
    replica = bench.start(follows, image=IMAGE, name="replica")
    bench.run(2)
    assert "MASTER aborted replication with an error: NOAUTH Authentication required." in output_of(replica)
    assert "master_link_status:down" in asked(bench, "-p 6380 info replication")


@pytest.mark.parametrize("env", [{}, {"GET_HOSTS_FROM": "env", "REDIS_LEADER_SERVICE_HOST": "127.0.0.1"}])
def test_the_guestbook_s_follower_finds_its_leader(env: dict[str, str]) -> None:
    bench = Bench()
    bench.sandbox.hosts += "127.0.0.1\tredis-leader\n"
    image = "us-docker.pkg.dev/google-samples/containers/gke/gb-redis-follower:v2"
    follower = bench.start(None, image=image, name="follower", env=env)
    bench.run(1)
    leader = env.get("REDIS_LEADER_SERVICE_HOST", "redis-leader")
    assert f"Connecting to MASTER {leader}:6379" in output_of(follower)
