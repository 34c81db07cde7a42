"""apt-get and apk bring into a container what its image lacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.sim.workloads.running import Bench, output_of

NGINX, ALPINE = "docker.io/library/nginx:1.29", "docker.io/library/alpine:3"


class Mirrors:
    """A way to the distributions' mirrors, and to nothing else."""

    lookup_us = 1000

    def resolve(self, sandbox: Any, name: str) -> list[str]:
        if name in ("deb.debian.org", "dl-cdn.alpinelinux.org"):
            return ["151.101.0.204"]
        raise OSError(2, "Name or service not known", name)

    def connect(self, sandbox: Any, address: str, port: int, protocol: str = "TCP") -> Any:
        return SimpleNamespace()


def said(text: str, image: str, online: bool = True, **more: Any) -> str:
    bench = Bench()
    if online:
        bench.world.network = Mirrors()  # type: ignore[assignment]
    container = bench.start(["sh", "-c", text], image=image, **more)
    bench.run(30)
    return output_of(container)


def test_a_package_brings_its_programs() -> None:
    text = said(
        "which lsof nc; apt-get update >/dev/null && apt-get install -y netcat-openbsd | tail -1; which nc", NGINX
    )
    assert text == "Setting up netcat-openbsd ...\n/usr/bin/nc\n"


def test_without_lists_no_package_is_found() -> None:
    assert said("apt-get install -y curl >/dev/null; echo $?", NGINX) == "E: Unable to locate package curl\n100\n"


def test_a_package_that_there_is_not() -> None:
    text = said("apt-get update >/dev/null; apt install -y nosuch >/dev/null; echo $?", NGINX)
    assert text == "E: Unable to locate package nosuch\n100\n"


def test_who_does_not_agree_gets_nothing() -> None:
    text = said("apt-get update >/dev/null; echo n | apt-get install nmap | tail -1; which nmap", NGINX)
    assert text.splitlines()[-1] == "Do you want to continue? [Y/n] Abort."


def test_only_root_installs() -> None:
    text = said("apt-get update; echo $?", NGINX, user="1000")
    assert text.startswith("E: Could not open lock file /var/lib/apt/lists/lock - open (13: Permission denied)\n")
    assert text.endswith("100\n")


def test_without_a_way_out_nothing_is_fetched() -> None:
    text = said("apt-get update; echo $?", NGINX, online=False)
    assert (
        "Err:1 http://deb.debian.org/debian trixie InRelease\n  Temporary failure resolving 'deb.debian.org'\n" in text
    )
    assert text.endswith("Reading package lists... Done\n0\n")


def test_alpine_has_apk() -> None:
    text = said("apk add --no-cache curl nosuch; apk add curl | tail -2; which curl", ALPINE)
    assert "ERROR: unable to select packages:\n  nosuch (no such package):\n    required by: world[nosuch]\n" in text
    assert text.endswith("(1/1) Installing curl\nOK: 12 MiB in 17 packages\n/usr/bin/curl\n")


def test_a_program_of_a_package_that_is_not_simulated_says_so() -> None:
    text = said("apt-get update >/dev/null; apt-get install -y vim >/dev/null; vim /etc/passwd; echo $?", NGINX)
    assert text == "vim: is installed, but what it does is not simulated here\n1\n"


def test_versions_and_options_with_a_value_are_read_past() -> None:
    lines = "apt-get -o Acquire::Retries=3 update >/dev/null; apt install -y -t trixie curl=8 | tail -1; which curl"
    assert said(lines, "docker.io/library/debian:13") == "Setting up curl ...\n/usr/bin/curl\n"


def test_what_is_there_is_not_installed_again() -> None:
    text = said("apk add 'curl>8' >/dev/null; apk add curl curl | grep -c Installing", ALPINE)
    assert text == "0\n"
