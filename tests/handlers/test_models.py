"""The tables' models on a cold start."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pynamodb.connection import Connection, TableConnection

from shared.storage import models

WORKERS, COLD_STARTS = 8, 50


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads that take turns after almost every step."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("impatient")
def test_workers_that_meet_a_table_at_once_all_get_the_one_connection(monkeypatch):
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in range(COLD_STARTS):
            shared, all_here = Connection(), Barrier(WORKERS)
            monkeypatch.setattr(models, "_connection", shared)
            monkeypatch.setattr(models.SurveyItem, "_connection", None)

            def meet(all_here: Barrier = all_here) -> TableConnection:
                all_here.wait()
                return models.SurveyItem._get_connection()

            met = [worker.result() for worker in [pool.submit(meet) for _ in range(WORKERS)]]
            assert {table.connection for table in met} == {shared}
            assert shared.get_meta_table(models.SurveyItem.Meta.table_name)
