"""Growth: the same work beside 1 thousand, 100 thousand and 1 million answers

A practice of six clinics and eighteen therapists keeps 800 days of the past: for each answer a survey, its settled
message, an entry of the patient's list, and for some a listed comment and a closed case; and the rows of counts that a
nightly run makes of them. In front of it stands the same work at each size: 60 mails due, 60 surveys to count, and the
staff's pages, each opened by an owner. All of the past is really stored (in order on disk; see `bench/past.py`).

Units and calls are metered once; the times of the two runs are those of nine in turn, of the pages of three, and of
this process's CPU with moto in it, so that only their ratio says something.
"""

import gc
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from bench.figure import Figure
from bench.timing import PAIRS

SIZES = (1_000, 100_000, 1_000_000)
WORK = 20  # mails due, and surveys to count, in each run
PAGES = {
    "overview": "/",
    "overview of a year": "/?period=2025",
    "comments": "/comments",
    "cases": "/cases",
    "patient search": "/patients?name=ba",
    "patient page": "/patient?id=p0000007",
}
RUNS = ("due run", "nightly run")
PAGE_ROUNDS = 3
ALONG = "answers stored"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation took."""

    seconds: float
    calls: float
    wru: float
    rru: float


def measure() -> list[Figure]:
    """Units of every operation at every size, and the time of the two runs as ratios to the smallest past."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        pasts = [_start(size, Path(folder)) for size in SIZES]
        try:
            return _figures(pasts)
        finally:
            for process, _ in pasts:
                process.terminate()
                process.join()


def _figures(pasts: list[tuple[Any, Connection]]) -> list[Figure]:
    stored = [pipe.recv() for _, pipe in pasts]
    for size, rows in zip(SIZES, stored, strict=True):
        print(f"  {size:,} answers: {sum(rows.values()):,} items", flush=True)
    metered = {name: [_ask(pipe, name, True) for _, pipe in pasts] for name in (*RUNS, *PAGES)}
    ends = (pasts[0], pasts[-1])
    rounds = {name: [[_ask(pipe, name, False) for _, pipe in ends] for _ in range(PAIRS)] for name in RUNS}
    rounds |= {name: [[_ask(pipe, name, False) for _, pipe in pasts] for _ in range(PAGE_ROUNDS)] for name in PAGES}
    figures = list[Figure]()
    for name, costs in metered.items():
        least, most = costs[0].rru, costs[-1].rru
        steps = ", ".join(f"{cost.calls:g}" for cost in costs)
        figures.append(
            Figure(
                f"{name}: RRU",
                f"The same work beside {SIZES[-1]:,} answers and beside {SIZES[0]:,}.",
                most, "RRU", "ratio", floor=least, ratio=most / least, note=f"Calls: {steps}.{_BOUNDED.get(name, '')}",
                target=_TARGETS.get(name), too_much=_TOO_MUCH.get(name), along=ALONG,
                points=tuple((size, cost.rru) for size, cost in zip(SIZES, costs, strict=True)),
            )
        )  # fmt: skip
    for name, turns in rounds.items():
        ratios = sorted(turn[-1].seconds / turn[0].seconds for turn in turns)
        medians = [median(turn[place].seconds for turn in turns) * 1000 for place in range(len(turns[0]))]
        sizes = SIZES if name in PAGES else (SIZES[0], SIZES[-1])
        figures.append(
            Figure(
                f"{name}: time", f"The same, in CPU time; paired ratios from {ratios[0]:.2f} to {ratios[-1]:.2f}.",
                medians[-1], "ms", "ratio", floor=medians[0], ratio=median(ratios),
                target=1.2 if name in RUNS else None, too_much=2 if name in RUNS else None, along=ALONG,
                points=tuple(zip(sizes, medians, strict=True)),
            )
        )  # fmt: skip
    return figures


_BOUNDED = dict.fromkeys(
    ("overview", "overview of a year"),
    " The rows are as many; each grows until every count of a month occurs, some 400 of them in 12 KB.",
)
# Rows of counts grow with the days and not with the answers, until every score of every day occurs.
_TARGETS = {"due run": 1.05, "nightly run": 1.05, "patient page": 1.05, "patient search": 1.5, "cases": 1.05}
_TOO_MUCH = {"due run": 1.5, "nightly run": 1.5, "patient page": 1.5, "patient search": 4.0, "cases": 1.5}


def _ask(pipe: Connection, name: str, is_metered: bool) -> Cost:
    pipe.send((name, is_metered))
    answer: Cost = pipe.recv()
    return answer


def _start(size: int, folder: Path) -> tuple[Any, Connection]:
    """A process with its own past, which does one piece of work whenever it is asked."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(size, folder, theirs), daemon=True)
    process.start()
    return process, ours


def _serve(size: int, folder: Path, pipe: Connection) -> None:
    from bench import in_process

    with in_process.stack() as meter:
        from bench import past

        past.spare_moto_its_backups()
        with closing(past.Past(folder / f"{size}.db", meter)) as whole:
            whole.store(past.rows(size))
            for client in (*in_process.clients(), meter.shadow):
                whole.serve(client)
            work = _work()
            for prepare, run in work.values():  # once uncounted: imports, and what a warm function keeps
                prepare()
                run()
            pipe.send(whole.stored)
            while asked := pipe.recv():
                name, is_metered = asked
                prepare, run = work[name]
                prepare()
                pipe.send(_cost(run, meter, in_process.clients(), is_metered))


def _cost(run: Callable[[], object], meter: Any, clients: Any, is_metered: bool) -> Cost:
    for client in clients:
        meter.attach(client) if is_metered else meter.detach(client)
    meter.clear()
    gc.collect()
    began = time.process_time()
    run()
    return Cost(time.process_time() - began, meter.calls, meter.wru, meter.rru)


def _work() -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Each piece of work: what is made ready beforehand, and what is measured."""
    from bench import journey, past
    from shared.domain.identity import hash_secret
    from shared.storage import messages, patients, surveys
    from shared.storage.models import SurveyItem
    from tests.builders import MONDAY_NOON, a_message, a_patient, a_survey
    from tests.handlers.dashboard import signed_in

    due = MONDAY_NOON + timedelta(hours=3)
    numbers = count()
    secret = hash_secret("secret")

    def fresh() -> None:
        for _ in range(WORK):
            number = next(numbers)
            survey, patient = f"{number:026d}".translate(str.maketrans("0189", "efgh")), f"new-{number}"
            patients.put_record(a_patient(patient), None)
            surveys.create(a_survey(survey, patient_id=patient))
            messages.create(a_message(survey, patient_id=patient))

    def to_count() -> None:
        """Surveys of patients who have answered before, as their patients' new answers leave them."""
        for place in range(WORK):
            survey = f"{next(numbers):026d}".translate(str.maketrans("0189", "efgh"))
            surveys.create(a_survey(survey, patient_id=f"p{place:07d}"))
            item = SurveyItem
            item(survey).update(
                [
                    item.token_hashes.add({secret}), item.sent_at.set(due), item.answered_at.set(due),
                    item.first_answered_at.set(due), item.score.set(9), item.category.set("promoter"),
                    item.version.set(1), item.revision.set(2), item.uncounted.set("yes"), item.comment.set("Kind."),
                    item.answers.set([{"score": 9, "comment": "Kind.", "at": "2026-03-02T20:00:00Z"}]),
                ]
            )  # fmt: skip

    def changed() -> None:
        """Surveys to count, and nothing else."""
        journey.count_night()
        to_count()

    def mails_due() -> None:
        """Mails that are due, while nothing waits to be counted."""
        fresh()
        journey.count_night()

    def opened(address: str) -> Callable[[], object]:
        def open_page() -> None:
            page = client.get(address)
            assert page.status == 200, (address, page.status)

        return open_page

    client = signed_in()
    assert MONDAY_NOON.date() == past.UNTIL
    return {
        "due run": (mails_due, lambda: journey.send(due)),
        "nightly run": (changed, journey.count_night),
        **{name: (lambda: None, opened(address)) for name, address in PAGES.items()},
    }
