"""The record: figures as JSON, one file a benchmark, and docs/performance.md with its plots made from all of them."""

import importlib
import json
import os
import platform
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import plots
from bench.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
DOCUMENT = ROOT / "docs" / "performance.md"
IMAGES = ROOT / "docs" / "images"
HEADINGS = ("quantity", "target", "too much", "measured", "floor", "ratio", "")


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of one benchmark found, where and when."""

    name: str
    taken_at: str
    seconds: float
    machine: str
    figures: tuple[Figure, ...]


def save(name: str, figures: Iterable[Figure], seconds: float) -> None:
    """Keep the figures for the document and for comparison with later ones."""
    taken_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    result = Result(name, taken_at, round(seconds, 1), machine(), tuple(_rounded(figure) for figure in figures))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(asdict(result), indent=1) + "\n")


def load(name: str) -> Result | None:
    """What the last run of this benchmark found; None if it never ran."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    stored: dict[str, Any] = json.loads(path.read_text())
    figures = tuple(
        Figure(**{**figure, "points": tuple((x, y) for x, y in figure["points"])}) for figure in stored["figures"]
    )
    return Result(**{**stored, "figures": figures})


def machine() -> str:
    """The kind of machine, without its name: figures are compared with those of another one."""
    cores = os.cpu_count() or 1
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return (
        f"{cores} {'core' if cores == 1 else 'cores'} {platform.machine()}, {pages * size / 2**30:.0f} GB, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def table(figures: Iterable[Figure]) -> str:
    """The figures as a table of text."""
    rows = [HEADINGS, *(_cells(figure) for figure in figures)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADINGS))]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(f"  {line}" for line in lines)


def write(results: Iterable[Result]) -> None:
    """Write the document and its plots."""
    parts = [_head(results := list(results))]
    for result in results:
        about = importlib.import_module(f"bench.{result.name}").__doc__ or ""
        title, _, explanation = about.strip().partition("\n")
        parts.append(f"## {title.rstrip('.')}\n")
        if explanation.strip():
            parts.append(re.sub(r"(?<!\n)\n(?!\n)", " ", explanation.strip()) + "\n")
        parts.append(_markdown(result.figures))
        parts += [f"![{label}](images/{image.name})\n" for label, image in _draw(result)]
        parts.append(f"Taken {result.taken_at[:10]} in {result.seconds:.0f} s: {result.machine}.\n")
    DOCUMENT.write_text("\n".join(parts))


def _head(results: list[Result]) -> str:
    judged = [figure for result in results for figure in result.figures if figure.target is not None]
    reached = sum(figure.passed for figure in judged)
    missed = "".join(
        f"- {figure.name}: {beside(figure.judged, figure.target)} against {number(figure.target)}. {figure.note}\n"
        for figure in judged
        if not figure.passed
    )
    return f"""# Performance

`make bench` measures this and writes this page. Targets reached: {reached} of {len(judged)}.

**Counts** (calls, units, modules) are exact, the same on every machine, and gated by the tests. **Ratios** compare with
a floor, the least that the same work can cost, run in turn with it in the same process: at least nine pairs, the median
of the paired ratios. **Absolute** figures are those of the machine that stands below each table. WRU and RRU are
DynamoDB's request units as AWS bills them, computed from each request and the items it met (`bench/units.py`).
{f"{chr(10)}Missed:{chr(10)}{chr(10)}{missed}" if missed else ""}"""


def _markdown(figures: Iterable[Figure]) -> str:
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|" + "---:|" * (len(HEADINGS) - 2) + "---|"]
    for figure in figures:
        name, *cells = _cells(figure)
        note = f" {figure.note}" if figure.note else ""
        lines.append(f"| **{name}**<br>{figure.what}{note} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _draw(result: Result) -> Iterable[tuple[str, Path]]:
    """One bar plot of all that is judged, and one plot for each kind of points."""
    judged = [figure for figure in result.figures if figure.target is not None]
    if len(judged) > 1:
        image = IMAGES / f"bench-{result.name}.svg"
        plots.against_targets(judged, image)
        yield f"{result.name}: each figure against its target", image
    kinds = dict.fromkeys((figure.along, figure.unit) for figure in result.figures if figure.points)
    for number, (along, unit) in enumerate(kinds, start=1):
        image = IMAGES / f"bench-{result.name}-{number}.svg"
        plots.lines([figure for figure in result.figures if (figure.along, figure.unit) == (along, unit)], image)
        yield f"{unit} along {along}", image


def _cells(figure: Figure) -> tuple[str, ...]:
    sign = "≥" if figure.at_least else "≤"
    unit = "×" if figure.kind == "ratio" else figure.unit
    limits = ("" if limit is None else f"{sign} {number(limit)} {unit}" for limit in (figure.target, figure.too_much))
    return (
        figure.name,
        *limits,
        f"{number(figure.measured)} {figure.unit}",
        "" if figure.floor is None else f"{number(figure.floor)} {figure.unit}",
        "" if figure.ratio is None else f"{beside(figure.ratio, figure.target)} ×",
        "" if figure.target is None else "reached" if figure.passed else "missed" if figure.acceptable else "too much",
    )


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def beside(value: float, target: float | None) -> str:
    """Three digits that count, or four where three would say that it is just the target."""
    told = number(value)
    return f"{value:.4g}" if target is not None and value != target and told == number(target) else told


def _rounded(figure: Figure) -> Figure:
    """Six digits: more would only make every run's file differ in more places."""

    def short(value: float | None) -> float | None:
        return None if value is None else float(f"{value:.6g}")

    return replace(
        figure,
        measured=float(f"{figure.measured:.6g}"),
        floor=short(figure.floor),
        ratio=short(figure.ratio),
        points=tuple((x, float(f"{y:.6g}")) for x, y in figure.points),
    )
