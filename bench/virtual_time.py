"""Many threads on a clock of their own: time passes only while all of them wait, and then as far as the next is to go.

The threads are greenlets, so that a run of minutes takes seconds and is the same each time. Code that uses a thread
pool gets `Workers` and `World.wait` in place of `ThreadPoolExecutor` and `concurrent.futures.wait`.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Set
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


class World:
    """A clock that starts at 0 and whoever waits for it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, int, greenlet]] = []
        self._order = itertools.count()
        self._clockwork = greenlet(self._tick)

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let the others go on, and return when the time has come."""
        self.wake(getcurrent(), seconds)
        self.park()

    def park(self) -> None:
        """Let the others go on until somebody wakes the caller."""
        self._clockwork.switch()

    def wake(self, sleeper: greenlet, seconds: float = 0.0) -> None:
        """Have it go on in so many seconds."""
        heapq.heappush(self._sleepers, (self._now + max(0.0, seconds), next(self._order), sleeper))

    def run(self, *mains: Callable[[], T]) -> list[T]:
        """What these return, having run side by side."""
        results: dict[int, T] = {}

        def main(number: int, body: Callable[[], T]) -> None:
            results[number] = body()

        for number, body in enumerate(mains):
            self.start(lambda number=number, body=body: main(number, body))  # type: ignore[misc]
        self._clockwork.parent = getcurrent()
        self._clockwork.switch()
        return [results[number] for number in range(len(mains))]

    def start(self, body: Callable[[], object]) -> None:
        """Run it as a thread of its own."""
        self.wake(greenlet(body, parent=self._clockwork))

    def wait(self, futures: "Set[Future[Any]]", return_when: str) -> "tuple[set[Future[Any]], set[Future[Any]]]":
        """`concurrent.futures.wait` for the first of some futures of one pool."""
        if return_when != "FIRST_COMPLETED":
            raise ValueError(return_when)
        pool: Workers = next(iter(futures)).pool  # type: ignore[attr-defined]
        while not (done := pool.finished & futures):
            pool.pause()
        pool.finished -= done
        return done, set(futures) - done

    def _tick(self) -> None:
        while self._sleepers:
            self._now, _, sleeper = heapq.heappop(self._sleepers)
            sleeper.switch()


class Task(Future[T]):
    """What a worker is to do, or has done."""

    def __init__(self, pool: "Workers", body: Callable[[], T]) -> None:
        super().__init__()
        self.pool = pool
        self.body = body

    def result(self, timeout: float | None = None) -> T:
        """As of any future, while the others go on."""
        while not self.done():
            self.pool.pause()
        return super().result(timeout)


class Workers(Executor):
    """A pool of so many threads in this world, used by one thread."""

    def __init__(self, world: World, threads: int) -> None:
        self.finished: set[Future[Any]] = set()
        self._world = world
        self._free = threads
        self._queue: deque[Task[Any]] = deque()
        self._busy = 0
        self._waiting: greenlet | None = None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As of any pool."""
        task = Task(self, lambda: fn(*args, **kwargs))
        self._queue.append(task)
        if self._free:
            self._free -= 1
            self._world.start(self._work)
        return task

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of any pool."""
        while self._busy or self._queue:
            self.pause()

    def pause(self) -> None:
        """Wait for the next task to end."""
        self._waiting = getcurrent()
        self._world.park()

    def _work(self) -> None:
        while self._queue:
            task = self._queue.popleft()
            self._busy += 1
            try:
                task.set_result(task.body())
            except Exception as error:  # noqa: BLE001 (whoever asks for the result gets it)
                task.set_exception(error)
            self._busy -= 1
            self.finished.add(task)
            if self._waiting:
                self._world.wake(self._waiting)
                self._waiting = None
        self._free += 1
