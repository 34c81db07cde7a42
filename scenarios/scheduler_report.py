"""What benchmarks found, as CSV and as plots (plain SVG)."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from seatrial.scenarios.scheduler_result import Result

WIDTH, ROW, LEFT, RIGHT = 900, 22, 380, 90
"""Pixels: of a plot, of one bar, of the names left of it, of the numbers right of it."""
COLOURS = ("#3b6ea8", "#c2703d", "#4f9d69", "#8f5aa8", "#a83b4b", "#7a7a3b")


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """One line per run."""
    rows = [result.row() for result in results]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def write_plots(folder: Path, results: Sequence[Result]) -> list[Path]:
    """Throughput per workload, how long attempts and queueing take, how the nodes are used: the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    ran = [result for result in results if not result.skipped]
    throughput = folder / "throughput.svg"
    throughput.write_text(bars("pods per second", [(_label(result), result.per_second) for result in ran]))
    latency = folder / "attempts.svg"
    latency.write_text(lines("attempt latency (ms) by quantile", [(_label(r), sorted(r.attempts_ms)) for r in ran]))
    waits = folder / "queue.svg"
    waits.write_text(lines("seconds in the queue by quantile", [(_label(r), sorted(r.waits_s)) for r in ran]))
    use = folder / "nodes.svg"
    shares = [
        (f"{_label(result)}: {name}", 100 * share)
        for result in ran
        for name, share in (
            ("CPU in use", result.utilization.get("cpu", 0.0)),
            ("CPU fragmented", result.fragmentation),
            ("fairness", result.fairness),
        )
    ]
    use.write_text(bars("nodes in the end (%)", shares))
    return [throughput, latency, waits, use]


def _label(result: Result) -> str:
    return f"{result.workload} · {result.config} · seed {result.seed}"


def bars(title: str, values: Sequence[tuple[str, float]]) -> str:
    """A bar per name, as SVG."""
    highest = max((value for _, value in values), default=0.0) or 1.0
    parts = []
    for index, (name, value) in enumerate(values):
        y = 30 + index * ROW
        width = (WIDTH - LEFT - RIGHT) * value / highest
        parts.append(f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}" fill="{COLOURS[0]}"/>')
        parts.append(f'<text x="{LEFT + width + 6:.1f}" y="{y + 15}">{value:,.0f}</text>')
    return _svg(title, 40 + ROW * len(values), parts)


def lines(title: str, series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Sorted values over their quantile, on a logarithmic scale, as SVG."""
    positive = [value for _, values in series for value in values if value > 0]
    low, high = (min(positive), max(positive)) if positive else (0.1, 1.0)
    span = math.log(high / low) or 1.0
    height, parts = 320, []
    for index, (name, values) in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        points = []
        for step in range(101):
            value = max(values[min(step * len(values) // 100, len(values) - 1)], low) if values else low
            y = 40 + (height - 60) * (1 - math.log(value / low) / span)
            points.append(f"{60 + step * (WIDTH - 100) / 100:.1f},{y:.1f}")
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        y = height + 20 + index * ROW
        parts.append(f'<text x="60" y="{y}" fill="{colour}">{escape(name)}</text>')
    for value in (low, math.sqrt(low * high), high):
        y = 40 + (height - 60) * (1 - math.log(value / low) / span)
        parts.append(f'<text x="52" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    return _svg(title, height + 30 + ROW * len(series), parts)


Points = Sequence[tuple[float, float]]


def power_of(points: Points) -> float:
    """The exponent of the power law that fits best: the slope of a line through the logarithms."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    slope: float = sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)
    return slope


def growth(title: str, series: Sequence[tuple[str, Points]]) -> str:
    """Points on logarithmic scales, each series with the power law that fits it best, as SVG."""
    xs, ys = zip(*(point for _, points in series for point in points), strict=True)
    height, parts = 340, []

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / min(xs)) / (math.log(max(xs) / min(xs)) or 1.0)
        up = math.log(y / min(ys)) / (math.log(max(ys) / min(ys)) or 1.0)
        return 70 + across * (WIDTH - 120), 40 + (height - 80) * (1 - up)

    for index, (name, points) in enumerate(series):
        colour, power = COLOURS[index % len(COLOURS)], power_of(points)
        middle = math.exp(sum(math.log(y) - power * math.log(x) for x, y in points) / len(points))
        ends = [place(x, middle * x**power) for x in (min(xs), max(xs))]
        (x1, y1), (x2, y2) = ends
        parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>')
        for x, y in points:
            cx, cy = place(x, y)
            parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="3" fill="{colour}"/>')
            parts.append(f'<text x="{cx + 5:.1f}" y="{cy - 5:.1f}">{y:,.0f}</text>')
        fitted = f"{name}: grows as nodes to the power of {power:.2f}"
        parts.append(f'<text x="70" y="{height + 20 + index * ROW}" fill="{colour}">{escape(fitted)}</text>')
    parts += [
        f'<text x="{place(x, min(ys))[0]:.1f}" y="{height - 15}" text-anchor="middle">{x:,.0f}</text>'
        for x in sorted(dict.fromkeys(xs))
    ]
    return _svg(title, height + 30 + ROW * len(series), parts)


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    style = "font: 12px sans-serif"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" style="{style}">'
    return "\n".join([head, f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>', *parts, "</svg>\n"])
