"""A report as one page that needs nothing else: the verdict, the goals, and the timeline drawn."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from seatrial.scenarios.report import Moment, Report
from seatrial.scenarios.schema import Text

WIDTH, LEFT, RIGHT, ROW = 960, 190, 20, 26
"""Of the drawing, in pixels."""
NAME_MAX = 26
KINDS = {"event": "#c0392b", "change": "#2563eb", "command": "#2563eb", "hint": "#b7791f", "answer": "#6b46c1"}
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
STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans KR",sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2937}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
.verdict{display:inline-block;padding:.15rem .7rem;border-radius:1rem;color:#fff;background:#b7791f}
.verdict.yes{background:#15803d}.verdict.no{background:#b91c1c}
.facts{display:flex;gap:2rem;flex-wrap:wrap;margin:1rem 0}.facts b{display:block;font-size:1.4rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e5e7eb}
td{vertical-align:top}
.why{color:#6b7280;font-size:.9em}svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#374151}
@media(prefers-color-scheme:dark){body{background:#111827;color:#e5e7eb}svg text{fill:#d1d5db}}
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
    yield f"<h2>{'타임라인' if korean else 'Timeline'}</h2>" + drawing(report, lang)
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
    """``4:05``; hours too, if there are any."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def drawing(report: Report, lang: str) -> str:
    """The timeline: what happened, what was done, and while which goals held."""
    lanes = LANES.get(lang, LANES["en"])
    height = ROW * (len(lanes) + len(report.goals)) + 40
    end = max(report.elapsed_s, *(moment.s for moment in report.timeline), 1.0)
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="timeline">']
    for tick in _ticks(end):
        x = across(tick, end)
        parts.append(f'<line x1="{x}" y1="0" x2="{x}" y2="{height - 24}" stroke="#9ca3af" stroke-opacity=".3"/>')
        parts.append(f'<text x="{x}" y="{height - 8}" text-anchor="middle">{clock(tick)}</text>')
    for number, (lane, name) in enumerate(lanes):
        y = ROW * number + 16
        parts.append(f'<text x="4" y="{y + 4}">{escape(name)}</text>')
        parts += [_dot(each, y, end) for each in report.timeline if LANE_OF.get(each.kind) == lane]
    for number, goal in enumerate(report.goals, len(lanes)):
        y = ROW * number + 16
        name = goal.text.of(lang)
        short = name if len(name) <= NAME_MAX else name[: NAME_MAX - 1] + "…"
        parts.append(f'<text x="4" y="{y + 4}">{escape(short)}<title>{escape(name)}</title></text>')
        parts.append(_bar(0, end, y, end, "#fca5a5"))
        parts += [_bar(begin, until, y, end, "#4ade80") for begin, until in _held(report.timeline, goal.id, end)]
    return "".join([*parts, "</svg>"])


def across(seconds: float, end: float) -> float:
    """Where a moment is, in pixels from the left."""
    return round(LEFT + (WIDTH - LEFT - RIGHT) * min(seconds, end) / end, 1)


def _dot(moment: Moment, y: int, end: float) -> str:
    colour = KINDS.get(moment.kind, "#6b7280")
    title = f"<title>{clock(moment.s)} {escape(moment.what)}</title>"
    return f'<circle cx="{across(moment.s, end)}" cy="{y}" r="5" fill="{colour}">{title}</circle>'


def _bar(begin: float, until: float, y: int, end: float, colour: str) -> str:
    left, right = across(begin, end), across(until, end)
    return f'<rect x="{left}" y="{y - 6}" width="{max(right - left, 1):.1f}" height="12" fill="{colour}"/>'


def _held(timeline: tuple[Moment, ...], goal: str, end: float) -> Iterator[tuple[float, float]]:
    """The spans in which a goal held."""
    begin: float | None = None
    for moment in timeline:
        if moment.what == goal and moment.kind == "holds":
            begin = moment.s
        elif moment.what == goal and moment.kind == "lost" and begin is not None:
            yield begin, moment.s
            begin = None
    if begin is not None:
        yield begin, end


def _ticks(end: float) -> Iterator[float]:
    step = next((each for each in (5, 15, 30, 60, 120, 300, 600, 1800, 3600) if end / each <= 10), 7200)
    at = 0.0
    while at <= end:
        yield at
        at += step
