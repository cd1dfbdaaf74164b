"""Plots as SVG that can be read on light and on dark pages: their colours are variables that follow the scheme."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib.figure import Figure as Sheet
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.figure import Figure

# What is drawn with the first colour shows as the second on light and as the third on dark pages.
COLOURS = {
    "#000001": ("ink", "#1f2328", "#e6edf3"),
    "#000002": ("grid", "#d1d9e0", "#3d444d"),
    "#000003": ("good", "#1a7f64", "#4cc9a5"),
    "#000004": ("bad", "#c4432b", "#ff8a70"),
    "#000005": ("second", "#3b6fb6", "#7ab0ff"),
    "#000006": ("third", "#8a5a00", "#e3b341"),
    "#000007": ("fourth", "#7b4fa3", "#c69bf0"),
}
INK, GRID, GOOD, BAD, *MORE = COLOURS
LINES = (GOOD, *MORE, BAD)
STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "careloop",  # the same figures give the same file
    "font.family": "sans-serif",
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), INK),
    "grid.color": GRID,
    "legend.frameon": False,
}


def against_targets(figures: Sequence[Figure], path: Path) -> None:
    """One bar a figure: how much of its target it uses. Left of the line is reached."""
    with mpl.rc_context(STYLE):
        sheet = Sheet(figsize=(8, 1 + 0.4 * len(figures)), layout="constrained")
        axes = sheet.add_subplot()
        shares = [_share(figure) for figure in figures]
        colours = [GOOD if figure.passed else BAD for figure in figures]
        bars = axes.barh([figure.name for figure in figures], shares, color=colours, height=0.6)
        axes.bar_label(bars, labels=[_in_digits(share) for share in shares], color=INK, padding=4)
        axes.axvline(1, color=INK, linewidth=1, linestyle="--")
        axes.set_xlim(0, max(1.3, *shares) * 1.08)
        axes.set_xlabel("share of the target used (× target; 1 = just reached)")
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        told = (f"{figure.name} {_in_digits(share)}" for figure, share in zip(figures, shares, strict=True))
        _save(sheet, path, "How much of its target each figure uses; over 1 it is missed", "; ".join(told))


def bars(named: Sequence[tuple[str, float]], unit: str, path: Path, *, log: bool = False) -> None:
    """One bar a name, in their order."""
    with mpl.rc_context(STYLE):
        sheet = Sheet(figsize=(8, 1 + 0.4 * len(named)), layout="constrained")
        axes = sheet.add_subplot()
        names, values = zip(*named, strict=True)
        drawn = axes.barh(names, values, color=GOOD, height=0.6)
        labels = [f"{float(f'{value:.2g}'):,.0f}" if log else f"{value:.3g}" for value in values]
        axes.bar_label(drawn, labels=labels, color=INK, padding=4)
        if log:
            axes.set_xscale("log")
            axes.set_xlim(min(values) / 3, max(values) * 2000)
            axes.xaxis.set_major_locator(LogLocator(numticks=5))
            axes.xaxis.set_major_formatter(
                FuncFormatter(lambda value, _: f"{value:,.0f}" if value < 1e6 else f"{value / 1e6:,.0f} M")
            )
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(0, max(values) * 1.12)
        axes.set_xlabel(unit)
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        _save(sheet, path, unit, "; ".join(f"{name} {label}" for name, label in zip(names, labels, strict=True)))


def lines(figures: Sequence[Figure], path: Path) -> None:
    """One line a figure, over whatever its points go along; both scales logarithmic where they span a lot."""
    with mpl.rc_context(STYLE):
        sheet = Sheet(figsize=(8, 4), layout="constrained")
        axes = sheet.add_subplot()
        shown = [figure for figure in figures if figure.points]
        for number, figure in enumerate(shown):
            colour, dash = LINES[number % len(LINES)], ("-", "--", ":")[number // len(LINES) % 3]
            marker = "o" if len(figure.points) < 20 else ""
            axes.plot(
                *zip(*figure.points, strict=True),
                color=colour,
                linestyle=dash,
                marker=marker,
                markersize=4,
                label=figure.name,
            )
        xs = [x for figure in shown for x, _ in figure.points]
        ys = [y for figure in shown for _, y in figure.points]
        if min(xs) > 0 and max(xs) / min(xs) >= 100:
            axes.set_xscale("log")
        if min(ys) > 0 and max(ys) / min(ys) >= 30:
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, max(ys) * 1.15 or 1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if value < 1e6 else f"{value:,.0f}"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(shown[0].along)
        axes.set_ylabel(shown[0].unit)
        axes.grid(visible=True)
        axes.set_axisbelow(True)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1)) if len(shown) > 1 else axes.set_title(shown[0].name)
        told = (
            f"{figure.name}: from {figure.points[0][1]:,g} at {figure.points[0][0]:,g} "
            f"to {figure.points[-1][1]:,g} at {figure.points[-1][0]:,g}"
            for figure in shown
        )
        _save(sheet, path, f"{shown[0].unit} along {shown[0].along}", "; ".join(told))


def _save(sheet: Sheet, path: Path, title: str, description: str) -> None:
    """Write the plot with its name and what it shows in words, for whoever does not see it."""
    out = StringIO()
    sheet.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = out.getvalue()
    light, dark = [], []
    for drawn_as, (name, on_light, on_dark) in COLOURS.items():
        drawn = drawn.replace(drawn_as, f"var(--{name})")
        light.append(f"--{name}: {on_light};")
        dark.append(f"--{name}: {on_dark};")
    style = (
        f"<style>:root {{ {' '.join(light)} }} "
        f"@media (prefers-color-scheme: dark) {{ :root {{ {' '.join(dark)} }} }}</style>"
    )
    head, mark, rest = drawn.partition("<defs>")
    head = head.replace("<svg ", '<svg role="img" aria-labelledby="title desc" ', 1)
    words = f'<title id="title">{escape(title)}</title>\n <desc id="desc">{escape(description)}</desc>\n '
    # The words stand first: some readers look for them there.
    start = head.index(">", head.index("<svg ")) + 1
    head = f"{head[:start]}\n {words}{head[start:].lstrip()}"
    lines_ = (line.rstrip() for line in f"{head}{style}\n {mark}{rest}".splitlines())
    path.write_text("\n".join(lines_) + "\n")


def _in_digits(share: float) -> str:
    """Two digits, or as many as show that it is not just the target."""
    return f"{share:.2f}" if share == 1 or f"{share:.2f}" != "1.00" else f"{share:.4g}"


def _share(figure: Figure) -> float:
    if figure.target is None:
        raise ValueError(f"{figure.name} has no target")
    if figure.at_least:
        return figure.target / figure.judged
    return figure.judged / figure.target if figure.target else figure.judged + 1
