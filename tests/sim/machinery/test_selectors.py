"""Label and field selectors: what they match, and what is said of those that cannot be parsed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery import kinds, selectors
from seatrial.sim.machinery.errors import ApiError

BUILTIN = kinds.builtin()
PODS = BUILTIN.resource("pods")
OBJECTS = {"one": {"a": "1", "t": "x"}, "two": {"a": "2", "t": "x"}, "three": {"a": "3"}, "bare": {}}

MATCHES = [
    ("", "one two three bare"),
    ("a=1", "one"),
    ("a==1", "one"),
    ("a!=1", "two three bare"),
    ("a in (1,2)", "one two"),
    ("a notin (1,2)", "three bare"),
    ("a in (1, 2),t", "one two"),
    ("t", "one two"),
    ("!t", "three bare"),
    ("! t , a", "three"),
    ("a>1", "two three"),
    ("a<2", "one"),
    ("a=", ""),
    ("a in (,1)", "one"),
]
REFUSED = [
    ("a===1", "unable to parse requirement: found '=', expected: identifier"),
    ("a in 1", "unable to parse requirement: found '1' expected: '('"),
    ("a in (1", "unable to parse requirement: found '', expected: ',' or ')'"),
    ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ("a=1 b", "found 'b', expected: ',' or 'end of string'"),
    ("a=1,", "found '', expected: identifier after ','"),
    (",", "found ',', expected: !, identifier, or 'end of string'"),
    ("!", "unable to parse requirement: found '', expected: identifier"),
    (
        "a in ()",
        "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, "
        "values set can't be empty",
    ),
    (
        "a>x",
        "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, "
        "the value must be an integer",
    ),
]


@pytest.mark.parametrize(("text", "names"), MATCHES, ids=[text or "empty" for text, _ in MATCHES])
def test_a_label_selector_matches(text: str, names: str) -> None:
    matches = selectors.labels(text)
    assert [name for name, labels in OBJECTS.items() if matches(labels)] == names.split()


@pytest.mark.parametrize(("text", "why"), REFUSED, ids=[text for text, _ in REFUSED])
def test_a_label_selector_that_cannot_be_parsed_is_a_bad_request(text: str, why: str) -> None:
    with pytest.raises(ApiError) as refusal:
        selectors.labels(text)
    assert (refusal.value.code, refusal.value.message) == (400, why)


def test_keys_and_values_of_a_selector_have_the_formats_of_labels() -> None:
    with pytest.raises(ApiError, match=r'<nil>: Invalid value: "-a": name part must consist of'):
        selectors.labels("-a=1")
    with pytest.raises(ApiError, match=r'values\[0\]\[a\]: Invalid value: "-": a valid label must be'):
        selectors.labels("a=-")


@given(st.text(alphabet="ab12=!<>(), in", max_size=12))
def test_every_text_is_parsed_or_refused(text: str) -> None:
    try:
        matches = selectors.labels(text)
    except ApiError as error:
        assert error.code == 400
    else:
        assert matches({"a": "1"}) in (True, False)


OBJECT_SELECTORS: list[tuple[Any, str, str]] = [
    (None, "", "<none>"),
    ({}, "one two three bare", "<none>"),
    ({"matchLabels": {"t": "x", "a": "1"}}, "one", "a=1,t=x"),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["2", "1"]}]}, "one two", "a in (1,2)"),
    ({"matchExpressions": [{"key": "t", "operator": "DoesNotExist"}]}, "three bare", "!t"),
    (
        {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "t", "operator": "Exists"}]},
        "one",
        "a=1,t",
    ),
]


@pytest.mark.parametrize(("selector", "names", "text"), OBJECT_SELECTORS, ids=[text for *_, text in OBJECT_SELECTORS])
def test_a_label_selector_object_matches_and_prints(selector: Any, names: str, text: str) -> None:
    matches = selectors.labels(selector)
    assert [name for name, labels in OBJECTS.items() if matches(labels)] == names.split()
    assert selectors.text_of(selector) == text


POD = {
    "metadata": {"name": "p", "namespace": "n"},
    "spec": {"nodeName": "w1", "hostNetwork": True},
    "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]},
}
FIELD_MATCHES = [
    ("metadata.name=p", True),
    ("metadata.name!=p", False),
    ("metadata.name=p,spec.nodeName==w1", True),
    ("spec.host=w1", True),
    ("spec.hostNetwork=true", True),
    ("status.podIP=10.0.0.1", True),
    ("spec.schedulerName=", True),
    ("status.phase!=Running,metadata.name=p", False),
    ("", True),
]


@pytest.mark.parametrize(("text", "matches"), FIELD_MATCHES, ids=[text or "empty" for text, _ in FIELD_MATCHES])
def test_a_field_selector_matches(text: str, matches: bool) -> None:
    assert selectors.fields(text, PODS)(POD) is matches


@pytest.mark.parametrize(
    ("storage", "text", "why"),
    [
        ("pods", "spec.hostname=x", "field label not supported: spec.hostname"),
        (
            "configmaps",
            "data.x=1",
            '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("jobs.batch", "spec.x=1", 'field label "spec.x" not supported for Job'),
        ("pods", "x", "invalid selector: 'x'; can't understand 'x'"),
    ],
)
def test_a_field_selector_that_the_kind_does_not_know_is_a_bad_request(storage: str, text: str, why: str) -> None:
    with pytest.raises(ApiError) as refusal:
        selectors.fields(text, BUILTIN.resource(storage))
    assert (refusal.value.code, refusal.value.message) == (400, why)


def test_events_are_selected_by_either_groups_names() -> None:
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "c"}}
    core, new = BUILTIN.find("", "v1", "events"), BUILTIN.find("events.k8s.io", "v1", "events")
    assert selectors.fields("involvedObject.name=p,source=c", core)(event)
    assert selectors.fields("regarding.name=p", new)(event)
    with pytest.raises(ApiError):
        selectors.fields("regarding.name=p", core)
