"""A MySQL server as probes and tutorials ask it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.workloads.running import Bench, output_of

IMAGE = "docker.io/library/mysql:8.4"
EMPTY = {"MYSQL_ALLOW_EMPTY_PASSWORD": "1"}


def served(seconds: float = 10, **more: Any) -> Bench:
    bench = Bench()
    bench.start(None, image=IMAGE, **{"env": EMPTY, **more})
    bench.run(seconds)
    return bench


def ran(bench: Bench, line: str, tty: bool = False, name: str = "c") -> tuple[str, int | None]:
    """What a shell line says and how it ends, in a container beside or, where it is asked by socket, within."""
    said: list[bytes] = []
    codes: list[int] = []
    beside = bench.start(["sleep", "600"], image=IMAGE, name=name)
    beside.exec(["sh", "-c", line], lambda _, data: said.append(data), codes.append, tty=tty)
    bench.run(2)
    return b"".join(said).decode().replace("\r\n", "\n"), codes[0] if codes else None


def test_probes_of_the_replicated_tutorial() -> None:
    bench = Bench()
    container = bench.start(None, image=IMAGE, env=EMPTY)
    said: list[bytes] = []
    codes: list[int] = []
    for seconds in (1, 10):
        bench.run(seconds)
        for argv in (["mysqladmin", "ping"], ["mysql", "-h", "127.0.0.1", "-e", "SELECT 1"]):
            container.exec(argv, lambda _, data: said.append(data), codes.append)
        bench.run(1)
    assert codes == [1, 1, 0, 0]
    text = b"".join(said).decode()
    assert text.endswith("mysqld is alive\n1\n1\n")
    assert "Can't connect to local MySQL server through socket '/var/run/mysqld/mysqld.sock' (2)" in text
    assert "ERROR 2003 (HY000): Can't connect to MySQL server on '127.0.0.1:3306' (111)\n" in text


@pytest.mark.parametrize(
    ("line", "text", "status"),
    [
        (
            "mysql -h 127.0.0.1 -pwrong -e 'SELECT 1'",
            "for user 'root'@'localhost' (using password: YES)\n",
            1,
        ),
        (
            "mysqladmin -h 127.0.0.1 ping",
            "error: 'Access denied for user 'root'@'localhost' (using password: NO)'\n",
            0,
        ),
        ("mysql -h 127.0.0.1 -ps3 --user=root -e 'SELECT 1'", "insecure.\n1\n1\n", 0),
        ("MYSQL_PWD=s3 mysqladmin -h127.0.0.1 status nope", "mysqladmin: Unknown command: 'nope'\n", 1),
        ("mysql -h nowhere -e 'SELECT 1'", "ERROR 2005 (HY000): Unknown MySQL server host 'nowhere' (-2)\n", 1),
        ("mysql -P x", "[ERROR] Unknown suffix 'x' used for variable 'port' (value 'x').\n", 1),
        ("mysql -h 127.0.0.1 -u app -papp -N -e 'SHOW TABLES; SELECT DATABASE()' shop", "insecure.\nshop\n", 0),
    ],
)
def test_accounts(line: str, text: str, status: int) -> None:
    env = {"MYSQL_ROOT_PASSWORD": "s3", "MYSQL_USER": "app", "MYSQL_PASSWORD": "app", "MYSQL_DATABASE": "shop"}
    said, code = ran(served(env=env), line)
    assert (said[-len(text) :], code) == (text, status)


@pytest.mark.parametrize(
    ("statements", "text"),
    [
        ("CREATE DATABASE test; CREATE TABLE test.messages (message VARCHAR(250)); "
         "INSERT INTO test.messages VALUES ('hello'), ('it''s; (me)'); SELECT * FROM test.messages",
         "message\nhello\nit's; (me)\n"),
        ("SELECT @@server_id, NOW(), 'x', NULL", "@@server_id\tNOW()\t'x'\tNULL\n1\t2026-01-01 00:00:1"),
        ("CREATE DATABASE d; USE d; CREATE TABLE t (id INT AUTO_INCREMENT, n INT, PRIMARY KEY (id)); "
         "INSERT INTO t (n) VALUES (5),(6); SELECT id FROM t WHERE n = 6; DELETE FROM t WHERE id=1; "
         "SELECT COUNT(*) FROM t",
         "id\n2\nCOUNT(*)\n1\n"),
        ("SELECT 1; SELEC 2", "1\n1\nERROR 1064 (42000) at line 1: You have an error in your SQL syntax; check"),
        ("SELECT x", "ERROR 1054 (42S22) at line 1: Unknown column 'x' in 'field list'\n"),
        ("SELECT * FROM t", "ERROR 1046 (3D000) at line 1: No database selected\n"),
        ("SELECT 1 + 1", "ERROR 1235 (42000) at line 1: This version of MySQL doesn't yet support '1 + 1'\n"),
        ("USE nope", "ERROR 1049 (42000) at line 1: Unknown database 'nope'\n"),
        ("CREATE DATABASE d; USE d; CREATE TABLE t (a INT); INSERT INTO t VALUES (1, 2)", "ERROR 1136 (21S01)"),
        ("CREATE USER 'a'@'%'; GRANT ALL ON *.* TO 'a'@'%'; -- note\n/* more */ FLUSH PRIVILEGES;", ""),
        ("'unterminated", "ERROR 1064"),
    ],
)  # fmt: skip
def test_statements(statements: str, text: str) -> None:
    said, _ = ran(served(), f"mysql -h 127.0.0.1 <<'EOF'\n{statements}\nEOF")
    assert said.startswith(text)


def test_a_replica_takes_no_writes() -> None:
    bench = Bench()
    container = bench.start(
        ["sh", "-c", "printf '[mysqld]\\nserver-id=101\\nsuper-read-only\\n' > /etc/mysql/conf.d/x.cnf; exec mysqld"],
        image=IMAGE,
        env=EMPTY,
    )
    bench.run(10)
    said, code = ran(bench, "mysql -h 127.0.0.1 -e 'SELECT @@server_id; CREATE DATABASE d'")
    told = "The MySQL server is running with the --super-read-only option so it cannot execute this statement"
    assert (said, code) == (f"@@server_id\n101\nERROR 1290 (HY000) at line 1: {told}\n", 1)
    assert "ready for connections" in output_of(container)


def test_a_conversation_at_a_terminal() -> None:
    bench = served()
    said: list[bytes] = []
    session = bench.start(["sleep", "60"], image=IMAGE, name="client").exec(
        ["mysql", "-h127.0.0.1"], lambda _, data: said.append(data), lambda _: None, stdin=True, tty=True
    )
    for line in (b"SELECT 1,\r", b"'ab' ;\r", b"USE mysql;\r", b"nope;\r", b"exit\r"):
        bench.run(1)
        session.write_stdin(line)
    bench.run(1)
    text = b"".join(said).decode().replace("\r\n", "\n")
    table = "+---+------+\n| 1 | 'ab' |\n+---+------+\n| 1 | ab   |\n+---+------+\n1 row in set (0.00 sec)\n\n"
    assert table in text
    assert "Database changed\nmysql> nope;\nERROR 1064 (42000): You have" in text
    assert text.endswith("mysql> exit\nBye\n")
