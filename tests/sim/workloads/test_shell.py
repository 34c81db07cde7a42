"""Scripts do in a container what they do in busybox, and nothing on the host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.workloads import log as log_module
from seatrial.sim.workloads.shell.parser import Parser
from seatrial.sim.workloads.shell.syntax import Sequence, SyntaxProblem
from tests.sim.workloads.running import Bench, output_of, script

SCRIPTS: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("scripts.yaml").read_text())


def name_of(row: dict[str, Any]) -> str:
    return ", ".join(str(part) for part in (row["name"], *(key for key, value in row.items() if value is None)))


@pytest.mark.parametrize("row", SCRIPTS, ids=name_of)
def test_a_script(row: dict[str, Any]) -> None:
    result = script(row["script"])
    assert (result.output, result.status) == (row.get("output", ""), row.get("status", 0))
    assert result.oom == row.get("oom", False)
    if "seconds" in row:
        assert result.seconds == pytest.approx(row["seconds"], abs=0.01)


@given(st.text(alphabet="ab $\"'`\\(){}|&;<>\n=#!*?[]-xifdoneth", max_size=40))
def test_any_text_is_a_script_or_a_syntax_error(text: str) -> None:
    try:
        assert isinstance(Parser(text).script(), Sequence)
    except SyntaxProblem as problem:
        assert str(problem).startswith("syntax error")


@given(st.text(alphabet="ab $\"'|&;<>\n=#*?-x1", max_size=25))
def test_no_script_stops_the_simulation(text: str) -> None:
    script(text, seconds=1)


def test_nothing_runs_on_the_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("the host was touched")

    for module, names in ((os, ("system", "popen", "execv", "execve", "fork", "kill")), (subprocess, ("Popen", "run"))):
        for name in names:
            monkeypatch.setattr(module, name, forbidden)
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    result = script(
        f"cat {secret}; echo x > {tmp_path}/planted; mkdir -p {tmp_path}; echo y > {tmp_path}/planted; "
        f"kill -9 {os.getpid()}; "
        f"rm -rf / 2>/dev/null; wget -qO- http://{'127.0.0.1'}:22; python3 -c 'import os'; $(touch {tmp_path}/a)"
    )
    assert "of the host" not in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]


class TestProcesses:
    def test_process_1_hears_no_signal_that_it_does_not_ask_for(self) -> None:
        bench = Bench()
        container = bench.start(["sh", "-c", "sleep 600"])
        bench.run(1)
        container.signal("TERM")
        bench.run(1)
        assert not bench.ends
        container.signal("KILL")
        assert bench.ends[0][0].code == 137

    def test_all_that_runs_ends_with_process_1(self) -> None:
        bench = Bench()
        container = bench.start(["sh", "-c", "sleep 100 & sleep 1; exit 3"])
        bench.run(5)
        assert bench.ends[0][0].code == 3
        assert container.processes == {}

    def test_exec_sees_the_same_files_and_reports_its_status(self) -> None:
        bench = Bench()
        container = bench.start(["sh", "-c", "echo kept > /tmp/f; sleep 600"])
        bench.run(1)
        said: list[bytes] = []
        ended: list[int] = []
        container.exec(["sh", "-c", "cat /tmp/f; exit 4"], lambda _, data: said.append(data), ended.append)
        bench.run(1)
        assert (b"".join(said), ended) == (b"kept\n", [4])

    def test_exec_of_what_is_not_there(self) -> None:
        bench = Bench()
        container = bench.start(["sleep", "600"])
        bench.run(1)
        with pytest.raises(FileNotFoundError, match="nosuch"):
            container.exec(["nosuch"], lambda *_: None, lambda _: None)

    def test_a_terminal_echoes_and_edits(self) -> None:
        bench = Bench()
        container = bench.start(["sleep", "600"])
        bench.run(1)
        said: list[bytes] = []
        ended: list[int] = []
        session = container.exec(["sh"], lambda _, data: said.append(data), ended.append, stdin=True, tty=True)
        bench.run(0.1)
        session.write_stdin(b"echo hx\x7fi\r")
        bench.run(0.1)
        session.write_stdin(b"exit 3\r")
        bench.run(0.1)
        assert b"".join(said) == b"/ # echo hx\b \bi\r\nhi\r\n/ # exit 3\r\n"
        assert ended == [3]

    def test_input_reaches_the_process_until_it_is_closed(self) -> None:
        bench = Bench()
        container = bench.start(["sleep", "600"])
        bench.run(1)
        said: list[bytes] = []
        ended: list[int] = []
        session = container.exec(["cat"], lambda _, data: said.append(data), ended.append, stdin=True)
        session.write_stdin(b"typed\n")
        bench.run(0.1)
        assert (said, ended) == ([b"typed\n"], [])
        session.close_stdin()
        bench.run(0.1)
        assert ended == [0]

    def test_what_has_no_newline_is_logged_at_the_end(self) -> None:
        bench = Bench()
        container = bench.start(["sh", "-c", "printf abc; sleep 1; printf def"])
        bench.run(0.5)
        assert output_of(container) == ""
        bench.run(2)
        assert output_of(container) == "abcdef"

    def test_a_client_at_a_terminal_of_the_main_process(self) -> None:
        bench = Bench()
        container = bench.start(["sh"], stdin=True, tty=True)
        bench.run(0.1)
        said: list[bytes] = []
        ended: list[int] = []
        session = container.attach(lambda _, data: said.append(data), ended.append)
        session.write_stdin(b"echo hi\r")
        bench.run(0.1)
        session.write_stdin(b"sleep 100\r")
        bench.run(1)
        session.write_stdin(b"\x03")
        bench.run(1)
        session.write_stdin(b"exit 5\r")
        bench.run(0.1)
        assert b"".join(said) == b"echo hi\r\nhi\r\n/ # sleep 100\r\n^C/ # exit 5\r\n"
        assert (ended, bench.ends[0][0].code) == ([0], 5)

    def test_a_root_that_may_not_be_written(self) -> None:
        bench = Bench()
        volume = bench.volume()
        mount = SimpleNamespace(path="/data", volume=volume, read_only=False, sub_path="")
        container = bench.start(
            ["sh", "-c", "echo x > /f; echo y > /data/f && cat /data/f"], read_only_root=True, mounts=[mount]
        )
        bench.run(1)
        assert output_of(container) == "sh: can't create /f: Read-only file system\ny\n"

    def test_a_volume_that_is_given_to_a_group(self) -> None:
        bench = Bench()
        volume = bench.volume()
        volume.give(2000)
        mount = SimpleNamespace(path="/data/demo", volume=volume, read_only=False, sub_path="")
        container = bench.start(
            ["sh", "-c", "id; echo hello > /data/demo/f; ls -l /data /data/demo | awk '/r/ {print $1,$3,$4,$NF}'"],
            user="1000:3000",
            groups=(4000, 2000),
            mounts=[mount],
        )
        bench.run(1)
        assert output_of(container) == (
            "uid=1000 gid=3000 groups=2000,3000,4000\ndrwxrwsrwx root 2000 demo\n-rw-r--r-- 1000 2000 f\n"
        )

    def test_containers_that_share_their_processes_see_and_signal_each_other(self) -> None:
        bench = Bench()
        bench.sandbox.share_processes = True
        bench.start(None, image="docker.io/library/nginx:1.29", name="nginx")
        bench.run(0.1)
        seen = "ps | sed 1d | cut -c1-6,16-; head -1 /proc/8/root/etc/nginx/nginx.conf; kill 8; sleep 5"
        shell = bench.start(["sh", "-c", seen], name="shell")
        bench.run(1)
        rows = output_of(shell).splitlines()
        assert rows[:2] == ["    1 /pause", "    8 nginx -g daemon off;"]
        assert rows[2].startswith("   14 sh -c")
        assert rows[-1] == "events {}"
        assert [end.code for end, _ in bench.ends] == [0]

    def test_an_ephemeral_container_sees_its_targets_processes(self) -> None:
        bench = Bench()
        bench.start(["sleep", "60"], name="app")
        alone = bench.start(["ps"], name="alone")
        debugger = bench.start(["ps"], name="debugger", target="app")
        bench.run(1)
        assert "sleep 60" not in output_of(alone)
        assert "    1 root     sleep 60" in output_of(debugger)

    def test_debians_ps_has_procpss_columns(self) -> None:
        bench = Bench()
        container = bench.start(["sh", "-c", "ps aux; ps -ef; ps; sleep 1"], image="docker.io/library/debian:13")
        bench.run(0.5)
        rows = [line.split() for line in output_of(container).splitlines()]
        assert rows[0] == ["USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"]
        assert (rows[1][:2], rows[1][6:8], rows[1][10:12]) == (["root", "1"], ["?", "Ss"], ["sh", "-c"])
        assert rows[3] == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
        assert rows[6] == ["PID", "TTY", "TIME", "CMD"]

    def test_a_file_that_another_container_writes_can_be_followed(self) -> None:
        bench = Bench()
        mount = SimpleNamespace(path="/data", volume=bench.volume(), read_only=False, sub_path="")
        reader = bench.start(["tail", "-n+1", "-F", "/data/log"], mounts=[mount])
        bench.run(1)
        bench.start(["sh", "-c", "for i in 1 2 3; do echo $i >> /data/log; sleep 2; done; sleep 60"], mounts=[mount])
        bench.run(10)
        assert output_of(reader) == (
            "tail: can't open '/data/log': No such file or directory\n"
            "tail: /data/log has appeared; following end of new file\n1\n2\n3\n"
        )
        reader.signal("KILL")
        assert len(mount.volume.followers) == 1

    def test_a_log_that_grew_too_large_is_put_aside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(log_module, "LOG_BYTES_MAX", 1000)
        bench = Bench()
        container = bench.start(["sh", "-c", "seq 500; sleep 1; echo after; sleep 600"])
        bench.run(5)
        assert output_of(container) == "after\n"
        assert container.log.dropped == 500

    def test_files_grow_at_their_end_and_in_their_middle(self) -> None:
        assert script("echo a > /f; for i in 1 2; do echo $i; done >> /f; cat /f").output == "a\n1\n2\n"
        assert script("{ printf abc; printf d; } > /f; printf X 1<> /f; cat /f; wc -c < /f").output == "Xbcd4\n"
