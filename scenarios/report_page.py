"""A report as one page that needs nothing else: the verdict, the goals, and the timeline drawn."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from typing import Final

from seatrial.scenarios.report import GoalReport, Moment, Report
from seatrial.scenarios.schema import Text
from seatrial.scenarios.timeline import Timeline, drawn, elapsed
from seatrial.scenarios.timeline.model import Lane, Mark, Span, Tone
from seatrial.sim.config import S

LANES = {
    "en": (("event", "what happens"), ("change", "what you did"), ("hint", "hints and answers")),
    "ko": (("event", "일어난 일"), ("change", "한 일"), ("hint", "힌트와 답")),
}
LANE_OF = {
    "event": "event",
    "stage": "event",
    "change": "change",
    "command": "change",
    "hint": "hint",
    "answer": "hint",
}
STATES: Final[dict[str, tuple[tuple[str, Tone], tuple[str, Tone]]]] = {
    "en": (("not met", "bad"), ("met", "good")),
    "ko": (("미달성", "bad"), ("달성", "good")),
}
"""Of a goal: while it does not hold, while it does."""
STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans KR",sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1f2937}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
.verdict{display:inline-block;padding:.15rem .7rem;border-radius:1rem;color:#fff;background:#b7791f}
.verdict.yes{background:#15803d}.verdict.no{background:#b91c1c}
.facts{display:flex;gap:2rem;flex-wrap:wrap;margin:1rem 0}.facts b{display:block;font-size:1.4rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e5e7eb}
td{vertical-align:top}
.why{color:#6b7280;font-size:.9em}svg{width:100%;height:auto;border-radius:.4rem}
@media(prefers-color-scheme:dark){body{background:#111827;color:#e5e7eb}}
"""


def page(report: Report, lang: str = "en") -> str:
    """The page, as HTML."""
    title = f"{report.scenario} {report.title.of(lang)}"
    body = "".join(_body(report, lang))
    return (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f"<body>{body}</body></html>\n"
    )


def _body(report: Report, lang: str) -> Iterator[str]:
    korean = lang == "ko"
    state = "yes" if report.passed else "no" if report.hopeless else ""
    word = ("통과" if korean else "passed") if report.passed else ("통과하지 못함" if korean else "not passed")
    yield f"<h1>{escape(report.scenario)} · {escape(report.title.of(lang))}</h1>"
    yield f'<span class="verdict {state}">{word}</span>'
    names = ("점수", "복구 시간", "기준", "경과", "변경", "힌트") if korean else (
        "score", "recovery", "par", "elapsed", "changes", "hints"
    )  # fmt: skip
    values = (
        f"{report.score}/100",
        clock(report.recovery_s),
        clock(report.par_s),
        clock(report.elapsed_s),
        str(report.commands),
        str(report.hints),
    )
    yield (
        '<div class="facts">'
        + "".join(f"<span><b>{value}</b>{name}</span>" for name, value in zip(names, values, strict=True))
        + "</div>"
    )
    yield f"<h2>{'타임라인' if korean else 'Timeline'}</h2>" + drawn(timeline(report, lang))
    yield f"<h2>{'목표' if korean else 'Goals'}</h2><table>" + "".join(_goals(report, lang)) + "</table>"
    if report.clients:
        yield f"<h2>{'클라이언트' if korean else 'Clients'}</h2><table><tr><th></th>"
        yield f"<th>{'성공' if korean else 'served'}</th><th>{'실패' if korean else 'failed'}</th></tr>"
        for each in report.clients:
            yield f"<tr><td>{escape(each.name)}</td><td>{each.served}</td><td>{each.failed}</td></tr>"
        yield "</table>"
    yield f"<h2>{'일어난 일' if korean else 'What happened'}</h2><table>"
    for moment in report.timeline:
        yield f"<tr><td>{clock(moment.s)}</td><td>{escape(moment.kind)}</td><td>{escape(moment.what)}</td></tr>"
    yield "</table>"


def _goals(report: Report, lang: str) -> Iterator[str]:
    rows: list[tuple[bool, Text, float | None, str]] = []
    rows += [(goal.met, goal.text, goal.met_s, goal.observed) for goal in report.goals]
    rows += [(rule.broken_s is None, rule.text, rule.broken_s, rule.observed) for rule in report.rules]
    rows += [(each.right_s is not None, each.ask, each.right_s, ", ".join(each.given)) for each in report.questions]
    for fine, text, at, why in rows:
        reason = f'<div class="why">{escape(why)}</div>' if why else ""
        yield f"<tr><td>{'✓' if fine else '✗'}</td><td>{escape(text.of(lang))}{reason}</td><td>{clock(at)}</td></tr>"


def clock(seconds: float | None) -> str:
    """``4:05``; a dash for what did not happen."""
    return "–" if seconds is None else elapsed(seconds)


def timeline(report: Report, lang: str = "en") -> Timeline:
    """What happened, what was done, and while which goals held; times in µs since time 0 of the scenario."""
    end = round(max(report.elapsed_s, *(moment.s for moment in report.timeline), 1.0) * S)
    rows = LANES.get(lang, LANES["en"])
    lanes = [Lane(key=key, kind="", namespace="", name=name) for key, name in rows]
    lanes += [Lane(key=_key(each), kind="", namespace="", name=each.text.of(lang)) for each in report.goals]
    marks = [
        Mark(lane=LANE_OF[each.kind], at=round(each.s * S), what=each.what, by=each.kind, revision=number,
             warning=LANE_OF[each.kind] == "event")
        for number, each in enumerate(report.timeline) if each.kind in LANE_OF
    ]  # fmt: skip
    spans = [span for each in report.goals for span in _spans(report.timeline, each, end, lang)]
    return Timeline(
        start=0, end=end, zero=0, lanes=tuple(lanes), spans=tuple(spans), marks=tuple(marks), bands=(), stage=()
    )


def _key(goal: GoalReport) -> str:
    return f"goal {goal.id}"


def _spans(moments: tuple[Moment, ...], goal: GoalReport, end: int, lang: str) -> Iterator[Span]:
    """While a goal held, and while it did not."""
    turns = [(0, False)]
    turns += [
        (round(each.s * S), each.kind == "holds")
        for each in moments
        if each.what == goal.id and each.kind in ("holds", "lost")
    ]
    for (begin, held), (until, _) in pairwise([*turns, (end, False)]):
        if begin < until:
            state, tone = STATES.get(lang, STATES["en"])[held]
            yield Span(lane=_key(goal), start=begin, end=until, state=state, tone=tone)
