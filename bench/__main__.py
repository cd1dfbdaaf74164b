"""`make bench`: run the benchmarks, print what they found beside what it should be, write docs/performance.md.

Each runs in a process of its own and within a time limit, one after the other: they must not share the machine, an
environment or a memory. Ends with 1 if any failed or any figure is beyond `too_much`.
"""

import argparse
import importlib
import subprocess
import sys
import time

from bench import report
from bench.figure import Figure

# In the order of the document. Each is a module of this package with `measure() -> list[Figure]`.
BENCHMARKS: tuple[str, ...] = ("cold_start", "answer", "pace", "load", "journey", "growth", "intake", "cost", "scale")
SECONDS_EACH = 600


def main() -> int:
    """What `make bench` does; the exit code."""
    arguments = argparse.ArgumentParser(prog="python -m bench")
    arguments.add_argument("only", nargs="?", choices=BENCHMARKS, help="this benchmark alone")
    arguments.add_argument("--measure", metavar="NAME", help=argparse.SUPPRESS)  # what the process of one is told
    chosen = arguments.parse_args()
    if chosen.measure:
        return _measure(chosen.measure)
    failed = [name for name in ((chosen.only,) if chosen.only else BENCHMARKS) if not _run(name)]
    results = [result for name in BENCHMARKS if (result := report.load(name))]
    report.write(results)
    print(f"\n{report.DOCUMENT.relative_to(report.ROOT)} is written.")
    for name in failed:
        print(f"FAILED: {name} (figures of an earlier run, if there are any, stand in the document)")
    return 1 if failed else 0


def _run(name: str) -> bool:
    """Run one benchmark in its process; whether it ended well and within what is acceptable."""
    print(f"\n{name}", flush=True)
    began = time.monotonic()
    try:
        done = subprocess.run([sys.executable, "-m", "bench", "--measure", name], check=False, timeout=SECONDS_EACH)
    except subprocess.TimeoutExpired:
        print(f"  stopped after {SECONDS_EACH} s")
        return False
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return done.returncode == 0


def _measure(name: str) -> int:
    began = time.monotonic()
    figures: list[Figure] = importlib.import_module(f"bench.{name}").measure()
    report.save(name, figures, time.monotonic() - began)
    print(report.table(figures), flush=True)
    return 0 if all(figure.acceptable for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
