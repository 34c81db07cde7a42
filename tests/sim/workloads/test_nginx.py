"""nginx follows its configuration files."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from tests.sim.workloads.running import Bench, output_of

IMAGE = "docker.io/library/nginx:1.29"


def volume(bench: Bench, path: str, files: Mapping[str, str]) -> Any:
    made = bench.volume()
    made.publish({name: (text.encode(), 0o644) for name, text in files.items()}, bench.clock.now)
    return SimpleNamespace(path=path, volume=made, read_only=False, sub_path="")


def served(text: str, files: Mapping[str, str] | None = None) -> Bench:
    """A bench with nginx on servers of this configuration."""
    bench = Bench()
    mounts = [volume(bench, "/etc/nginx/conf.d", {"default.conf": text}), volume(bench, "/www", files or {})]
    bench.start(None, image=IMAGE, mounts=mounts)
    bench.run(1)
    return bench


def get(bench: Bench, path: str, port: int = 80, host: str = "web") -> HttpResponse:
    listener = bench.world.network.connect(bench.sandbox, "127.0.0.1", port)
    return listener.http(HttpRequest("GET", path, {"Host": host}, b"", "172.16.0.9"))


def test_untouched_it_serves_its_page() -> None:
    bench = Bench()
    bench.start(None, image=IMAGE)
    bench.run(1)
    assert b"<h1>Welcome to nginx!</h1>" in get(bench, "/").body


LOCATIONS = r"""
server {
    listen 8080 default_server;
    listen [::]:8080;
    root /www;
    add_header X-Node $hostname;
    location / { try_files $uri $uri/ =404; }
    location = /health { return 200 "ok from $hostname"; }
    location /old { return 301 /new$is_args$args; }
    location ~ \.secret$ { deny all; }
    location ^~ /files/ { alias /www/deep/; }
    location /spa/ { try_files $uri /index.html; }
}
"""
FILES = {"index.html": "front", "a.txt": "A", "deep/b.json": "{}", "x.secret": "s"}


@pytest.mark.parametrize(
    ("path", "code", "body"),
    [
        ("/", 200, b"front"),
        ("/a.txt", 200, b"A"),
        ("/nope", 404, None),
        ("/x.secret", 403, None),
        ("/files/b.json", 200, b"{}"),
        ("/spa/anything", 200, b"front"),
        ("/health", 200, b"ok from p"),
        ("/old?x=1", 301, None),
        ("/deep", 403, None),
        ("/../../etc/passwd", 400, None),
        ("/deep/%2e%2e/a.txt", 200, b"A"),
        ("//deep/../index.html", 200, b"front"),
    ],
)
def test_locations(path: str, code: int, body: bytes | None) -> None:
    answer = get(served(LOCATIONS, FILES), path, 8080)
    assert answer.code == code
    assert body is None or answer.body == body


def test_headers_and_redirections_may_say_variables() -> None:
    bench = served(LOCATIONS, FILES)
    assert get(bench, "/old?x=1", 8080).headers["Location"] == "http://web:8080/new?x=1"
    assert get(bench, "/", 8080).headers["X-Node"] == "p"


def test_servers_by_name() -> None:
    bench = served(
        "server { listen 80; server_name a.example; return 200 a; }\n"
        "server { listen 80; server_name *.b.example; return 200 b; }\n"
        "server { listen 80 default_server; return 404; }"
    )
    names = ("a.example", "x.b.example", "other")
    assert [get(bench, "/", host=name).code for name in names] == [200, 200, 404]
    assert [get(bench, "/", host=name).body for name in names[:2]] == [b"a", b"b"]


def test_another_server_behind_it() -> None:
    bench = served(
        "upstream Back { server 127.0.0.1:8081; }\n"
        "server { location /api/ { proxy_pass http://Back/v1/; proxy_set_header X-Real-IP $remote_addr; } }\n"
        'server { listen 8081; location / { return 200 "$uri $http_x_real_ip"; } }\n'
        "server { listen 8082; location / { proxy_pass http://127.0.0.1:9; } }"
    )
    assert get(bench, "/api/users").body == b"/v1/users 172.16.0.9"
    assert get(bench, "/", 8082).code == 502


def test_tls_has_the_files_certificate() -> None:
    text = "listen 443 ssl; root /usr/share/nginx/html; ssl_certificate /www/c; ssl_certificate_key /www/k;"
    bench = served(f"server {{ listen 80; {text} }}", {"c": "CERT", "k": "KEY"})
    listener: Any = bench.world.network.connect(bench.sandbox, "127.0.0.1", 443)
    assert listener.certificate("web") == ("CERT", "KEY")
    assert b"Welcome" in get(bench, "/").body


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server {\n listen 80;\n", 'unexpected end of file, expecting "}" in /etc/nginx/conf.d/default.conf:3'),
        ("server { listen 80 }", 'unexpected "}" in /etc/nginx/conf.d/default.conf:1'),
        (
            "server {\n location / { proxy_pass http://nowhere; } }",
            'host not found in upstream "nowhere" in /etc/nginx/conf.d/default.conf:2',
        ),
        ("server { location ~ ( { } }", 'pcre2_compile() failed: missing ), unterminated subpattern in "(" in {}:1'),
        ("server { location ~~ /a { } }", 'invalid location modifier "~~" in {}:1'),
        ("server { return abc; }", 'invalid return code "abc" in {}:1'),
        ("server { location / { try_files /a; } }", 'invalid number of arguments in "try_files" directive in {}:1'),
        ("server { location / { try_files /a =x; } }", 'invalid code "=x" in {}:1'),
        ("server { location / { proxy_pass here; } }", "invalid URL prefix in {}:1"),
        ("server { location / { proxy_pass http://a:b; } }", 'invalid port in upstream "a:b" in {}:1'),
        ("upstream u { server a:70000; }", 'invalid port in upstream "a:70000" in {}:1'),
        ("server { include nope; }", 'open() "/etc/nginx/nope" failed (2: No such file or directory) in {}:1'),
        (
            "include conf.d/default.conf;",
            'open() "/etc/nginx/conf.d/default.conf" failed (24: Too many open files) in {}:1',
        ),
        (
            "server { listen 443 ssl; ssl_certificate /nope; ssl_certificate_key /nope; }",
            'cannot load certificate "/nope": No such file or directory',
        ),
    ],
)
def test_a_configuration_that_it_refuses(text: str, said: str) -> None:
    bench = Bench()
    container = bench.start(None, image=IMAGE, mounts=[volume(bench, "/etc/nginx/conf.d", {"default.conf": text})])
    bench.run(1)
    said = said.replace("{}", "/etc/nginx/conf.d/default.conf")
    assert output_of(container).endswith(f"nginx: [emerg] {said}\n")
    assert bench.ends[0][0].code == 1


def test_a_server_of_files_may_become_another() -> None:
    bench = Bench()
    mount = volume(bench, "/etc/nginx/conf.d", {"default.conf": "server { listen 80; root /usr/share/nginx/html; }"})
    container = bench.start(None, image=IMAGE, mounts=[mount])
    bench.run(1)
    assert b"Welcome" in get(bench, "/").body
    mount.volume.publish({"default.conf": (b"server { listen 80; return 200 two; }", 0o644)}, bench.clock.now)
    container.signal("HUP")
    bench.run(1)
    assert get(bench, "/").body == b"two"


def test_headers_are_a_block_s_own_or_those_around_it_and_errors_get_few() -> None:
    bench = served(
        "add_header A http;\nserver { add_header B server; location /own { add_header C own always; return 404; }\n"
        "location /around { return 200 x; } location /bad { return 404; } location /empty { return 200; } }"
    )
    shown = {path: {*get(bench, path).headers} & {"A", "B", "C"} for path in ("/own", "/around", "/bad")}
    assert shown == {"/own": {"C"}, "/around": {"B"}, "/bad": set()}
    assert get(bench, "/empty").body == b""
    assert get(bench, "/own").headers["Server"] == "nginx/1.29.1"


def test_what_a_request_says_can_be_said_again() -> None:
    bench = served(
        'server { listen 81; server_name web; return 200 "$scheme $server_name:$server_port $arg_x$arg_y"; }'
    )
    assert get(bench, "/?x=1&x=2", 81).body == b"http web:81 1"


def test_redirections_and_servers_that_lead_back_come_to_an_end() -> None:
    bench = served(
        "server { location / { try_files /no /a/no; } location /p { proxy_pass http://127.0.0.1; } }",
        {"index.html": "x"},
    )
    assert get(bench, "/x").code == 500
    assert get(bench, "/p").code == 500


def test_a_server_of_files_takes_no_posts() -> None:
    bench = served("server { root /www; location / { } }", {"a": "A"})
    listener = bench.world.network.connect(bench.sandbox, "127.0.0.1", 80)
    assert listener.http(HttpRequest("POST", "/a", {"Host": "web"}, b"", "172.16.0.9")).code == 405
    assert get(bench, "/a").code == 200


def test_ports_and_certificates_follow_the_files() -> None:
    bench = Bench()
    tls = "listen 443 ssl; ssl_certificate /www/c; ssl_certificate_key /www/k;"
    conf = volume(bench, "/etc/nginx/conf.d", {"default.conf": f"server {{ {tls} listen 80; return 200 one; }}"})
    www = volume(bench, "/www", {"c": "CERT", "k": "KEY"})
    container = bench.start(None, image=IMAGE, mounts=[conf, www])
    bench.run(1)

    def reload(text: str, certificate: str) -> None:
        conf.volume.publish({"default.conf": (text.encode(), 0o644)}, bench.clock.now)
        www.volume.publish({"c": (certificate.encode(), 0o644), "k": (b"KEY", 0o644)}, bench.clock.now)
        container.signal("HUP")
        bench.run(1)

    def certificate(port: int) -> Any:
        listener: Any = bench.world.network.connect(bench.sandbox, "127.0.0.1", port)
        return listener.certificate and listener.certificate("web")

    reload(f"server {{ {tls} listen 81; return 200 two; }}", "NEW")
    assert certificate(443) == ("NEW", "KEY")
    assert get(bench, "/", 81).body == b"two"
    with pytest.raises(ConnectionRefusedError):
        get(bench, "/", 80)
    reload("server { listen 443; return 200 three; }", "NEW")
    assert certificate(443) is None
    reload("server { listen 443 ssl; ssl_certificate /nope; ssl_certificate_key /nope; return 200 four; }", "NEW")
    assert get(bench, "/", 443).body == b"three"


def test_it_goes_into_the_background_unless_it_is_told_not_to() -> None:
    bench = Bench()
    container = bench.start(["sh", "-c", "nginx && echo started; sleep 5; exit 3"], image=IMAGE)
    bench.run(1)
    assert b"Welcome" in get(bench, "/").body
    bench.run(9)
    assert output_of(container).count("started") == 1
    assert bench.ends[0][0].code == 3
    bench.start(["nginx"], image=IMAGE)
    bench.run(1)
    assert bench.ends[1][0].code == 0


def test_it_is_told_to_read_anew_and_to_quit() -> None:
    bench = Bench()
    mount = volume(bench, "/etc/nginx/conf.d", {"default.conf": "server { listen 80; return 200 one; }"})
    container = bench.start(None, image=IMAGE, mounts=[mount])
    bench.run(1)
    said: list[bytes] = []

    def told(*argv: str) -> None:
        container.exec(list(argv), lambda _, data: said.append(data), lambda _: None)
        bench.run(1)

    mount.volume.publish({"default.conf": (b"server { listen 80; return 200 two; }", 0o644)}, bench.clock.now)
    assert get(bench, "/").body == b"one"
    told("nginx", "-t")
    told("nginx", "-s", "reload")
    assert get(bench, "/").body == b"two"
    mount.volume.publish({"default.conf": (b"server {", 0o644)}, bench.clock.now)
    told("nginx", "-s", "reload")
    assert get(bench, "/").body == b"two"
    assert said[-1].startswith(b"nginx: [emerg] unexpected end of file")
    mount.volume.publish({"default.conf": (b"server { listen 80; return 200 two; }", 0o644)}, bench.clock.now)
    told("nginx", "-s", "quit")
    assert b"syntax is ok" in said[0]
    assert bench.ends[0][0].code == 0
