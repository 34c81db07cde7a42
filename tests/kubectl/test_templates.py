"""JSONPath and Go templates give what kubectl gives."""

from __future__ import annotations

import pytest

from seatrial.scenarios.kubectl import jsonpath
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.gotemplate import Template

LIST = {
    "kind": "List",
    "items": [
        {"kind": "None", "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "127.0.0.1"}},
         "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "LegacyHostIP", "address": "127.0.0.1"}]}},
        {"kind": "None", "metadata": {"name": "127.0.0.2"},
         "status": {"capacity": {"cpu": "8"}, "ready": True, "addresses": [
             {"type": "LegacyHostIP", "address": "127.0.0.2"}, {"type": "another", "address": "127.0.0.3"}]}},
    ],
    "users": [{"name": "myself", "user": {}}, {"name": "e2e", "user": {"username": "admin", "password": "secret"}}],
}  # fmt: skip
"""The object of https://kubernetes.io/docs/reference/kubectl/jsonpath/, with a little more in it."""


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.kind}", "List"),
        ("{['kind']}", "List"),
        ("{..name}", "127.0.0.1 127.0.0.2 myself e2e"),
        ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
        ("{.users[0].name}", "myself"),
        ("{.users[-1].name}", "e2e"),
        ("{.items[0:1].metadata.name}", "127.0.0.1"),
        ("{.items[*]['metadata.name', 'status.capacity']}", '127.0.0.1 127.0.0.2 {"cpu":"4"} {"cpu":"8"}'),
        ('{.users[?(@.name=="e2e")].user.password}', "secret"),
        ("{.items[0].metadata.labels.kubernetes\\.io/hostname}", "127.0.0.1"),
        ("{range .items[*]}[{.metadata.name}, {.status.capacity}] {end}",
         '[127.0.0.1, {"cpu":"4"}] [127.0.0.2, {"cpu":"8"}] '),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.status.capacity.cpu}{"\\n"}{end}', "127.0.0.1\t4\n127.0.0.2\t8\n"),
        ("{.users[*].user}", '{} {"password":"secret","username":"admin"}'),
        ("{.items[?(@.status.ready)].metadata.name}", "127.0.0.2"),
        ("{.items[1].status.ready}", "true"),
        ('{.items[*].status.addresses[?(@.type!="another")].address}', "127.0.0.1 127.0.0.2"),
        ("{.nothing.here}", ""),
        ("plain {.kind}", "plain List"),
    ],
)  # fmt: skip
def test_jsonpath(template: str, text: str) -> None:
    assert jsonpath.render(template, LIST) == text


@pytest.mark.parametrize("template", ["{.a", "{range .items[*]}", "{end}"])
def test_a_template_that_is_none_is_refused(template: str) -> None:
    with pytest.raises(Failure):
        jsonpath.render(template, LIST)


@pytest.mark.parametrize(
    ("typed", "path"), [(".metadata.name", "{.metadata.name}"), ("a.b", "{.a.b}"), ("{.a}", "{.a}"), ("{a}", "{.a}")]
)
def test_paths_of_columns_may_do_without_braces(typed: str, path: str) -> None:
    assert jsonpath.relaxed(typed) == path


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.kind}}", "List"),
        ("{{range .items}}{{.metadata.name}} {{end}}", "127.0.0.1 127.0.0.2 "),
        ("{{range $i, $e := .items}}{{$i}}={{$e.metadata.name}};{{end}}", "0=127.0.0.1;1=127.0.0.2;"),
        ("{{range .items}}{{if .status.ready}}yes{{else}}no{{end}} {{end}}", "no yes "),
        ("{{with .users}}{{len .}}{{end}}", "2"),
        ("{{index .users 1 \"name\"}}", "e2e"),
        ("{{(index .users 1).user.username}}", "admin"),
        ("{{.nothing}}", "<no value>"),
        ('{{printf "%s has %d" .kind (len .items)}}', "List has 2"),
        ('{{if eq .kind "List" "Pod"}}one{{end}}', "one"),
        ('{{if and .kind (not .nothing)}}both{{end}}', "both"),
        ("{{range .none}}x{{else}}none{{end}}", "none"),
        ("{{- .kind -}}  \n!", "List!"),
        ("{{/* nothing */}}{{$a := 1}}{{$a}}", "1"),
        ('{{"c2VjcmV0" | base64decode}}', "secret"),
        ("{{range .items}}{{.metadata.labels}}{{break}}{{end}}", "map[kubernetes.io/hostname:127.0.0.1]"),
        ('{{range $k, $v := (index .items 0).metadata.labels}}{{$k}}={{$v}}{{"\\n"}}{{end}}',
         "kubernetes.io/hostname=127.0.0.1\n"),
    ],
)  # fmt: skip
def test_go_templates(template: str, text: str) -> None:
    assert Template(template).render(LIST) == text


@pytest.mark.parametrize("template", ["{{.a", "{{end}}", "{{if .a}}", "{{nope .a}}", "{{.a | }}"])
def test_a_go_template_that_is_none_is_refused(template: str) -> None:
    with pytest.raises(Failure):
        Template(template).render({})
