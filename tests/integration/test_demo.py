"""`make demo`, with a smaller practice: it reaches a page that can be used, and leaves nothing running."""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.processes import Processes, wait_until
from local.stack import Stack, read_stack
from local.staff import Person
from local.template import ROOT
from shared.domain.staff import Role
from tests.integration.staff import HttpBrowser

PATIENTS = 40
RUN = "import sys; from pathlib import Path; from local import demo; sys.exit(demo.main(Path(sys.argv[1]), {}))"


@dataclass
class Demo:
    """A demo that was started, and what it has said."""

    process: "subprocess.Popen[str]"
    state: Path
    said: Path

    def wait_for(self, words: str) -> None:
        """Until it says so."""

        def settled() -> bool:
            return words in self.said.read_text() or self.process.poll() is not None

        wait_until(settled, 240, f"the demo does not say {words!r}")
        assert words in self.said.read_text(), self.said.read_text()

    def end(self, how: signal.Signals) -> int:
        """Its exit code after this signal."""
        self.process.send_signal(how)
        return self.process.wait(timeout=60)

    @property
    def stack(self) -> Stack:
        """What it has deployed."""
        return read_stack(self.state)

    def request(self, method: str, path: str, form: str = "", **headers: str) -> http.client.HTTPResponse:
        """Ask its front; the body of the answer is read already, as `.body`."""
        host = urlsplit(self.stack.public_url).netloc
        with contextlib.closing(http.client.HTTPConnection(host, timeout=120)) as connection:
            connection.request(method, path, form or None, headers)
            answer = connection.getresponse()
            answer.body = answer.read().decode()  # type: ignore[attr-defined]
        return answer

    def post(self, path: str, form: str = "", **headers: str) -> int:
        """Press a button; the status."""
        return self.request("POST", path, form, **headers).status

    def page(self, path: str = "/") -> str:
        """A page of its front."""
        answer = self.request("GET", path)
        assert answer.status == 200
        return str(answer.body)  # type: ignore[attr-defined]


def start(state: Path) -> Demo:
    state.mkdir(parents=True, exist_ok=True)
    said = state / "said.txt"
    with said.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN.format(PATIENTS), str(state)],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return Demo(process, state, said)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = start(tmp_path_factory.mktemp("demo"))
    try:
        running.wait_for("Ctrl-C ends the demo")
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


def returned(page: str) -> dict[str, Any]:
    """What the functions returned, as the page shows it."""
    shown = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)
    assert shown
    found: dict[str, Any] = json.loads(shown[1].replace("&#34;", '"'))
    return found


def test_the_page_shows_each_clinic_the_funnel_what_is_due_and_the_mailbox(demo: Demo) -> None:
    page = demo.page()
    for name in ("Larkmere Old Mill", "Larkmere Harbor", "Larkmere Prairie"):
        assert name in page
    assert page.count('<article class="clinic') == 4
    assert "Not enough answers yet" in page  # of so few patients
    assert "NPS" in page
    assert re.search(r"Touchpoints reached</th><td class=\"number\">[1-9]", page)
    assert re.search(r"Due now: <strong>[1-9]\d*</strong> surveys, <strong>[1-9]", page)
    assert "/mailbox/1" in page
    assert demo.stack.endpoint_url in page
    assert "<script" not in page


def test_the_page_leads_to_the_dashboard_and_says_how_to_sign_in(demo: Demo) -> None:
    page, stack = demo.page(), demo.stack
    assert f'href="{stack.dashboard_url}/"' in page
    assert {person["role"] for person in stack.staff} == set(Role)
    for person in stack.staff:
        assert person["email"] in page
        assert person["password"] in page
        assert person["password"] in demo.said.read_text()
        signed_in = HttpBrowser(stack).sign_in(
            Person(person["name"], person["email"], person["password"], Role(person["role"]))
        )
        assert person["name"] in signed_in.body


def test_its_progress_tells_counts_and_seconds(demo: Demo) -> None:
    lines = demo.said.read_text().splitlines()
    assert any(re.fullmatch(r" *\d+\.\d s  Import of patients.csv: 40 rows, 40 created\.", line) for line in lines)
    assert sum("The past up to" in line for line in lines) >= 9


def test_a_mail_is_shown_where_nothing_in_it_can_run(demo: Demo) -> None:
    assert 'sandbox="allow-top-navigation-by-user-activation"' in demo.page("/mailbox/1")
    policy = demo.request("GET", "/mailbox/1/html").getheader("Content-Security-Policy") or ""
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy


def test_the_buttons_move_the_loop_and_show_what_the_functions_returned(demo: Demo) -> None:
    mails = len(demo.stack.mails())
    assert demo.post("/do/send") == 303
    sent = returned(demo.page())["SendSurveyFunction"]
    assert sent["sent"] > 0
    assert len(demo.stack.mails()) == mails + sent["sent"]

    assert demo.post("/do/answer", "number=5") == 303
    page = demo.page()
    assert "5 patients answered" in page
    groups = returned(page)["answers"]
    assert sum(groups.values()) == 5

    assert demo.post("/do/night") == 303
    counted = returned(demo.page())["AggregateScoresFunction"]
    assert counted["surveys"] >= 5

    assert demo.post("/do/later", "number=3") == 303
    later = returned(demo.page())
    assert set(later) == {"SendSurveyFunction", "SendDigestFunction"}


def test_only_forms_of_its_own_pages_press_a_button(demo: Demo) -> None:
    own = urlsplit(demo.stack.public_url).netloc
    before = demo.page()
    assert demo.post("/do/send", Origin="http://elsewhere.example") == 403
    assert demo.post("/do/send", Origin="null") == 403
    assert demo.post("/do/send", Host="elsewhere.example") == 403
    assert demo.post("/do/send", "number=" + "1" * 5_000) == 403
    assert demo.post("/do/answer", "number=-3") == 400
    assert demo.post("/do/anything") == 404
    assert strip_clock(demo.page()) == strip_clock(before)
    assert demo.post("/do/night", Origin=f"http://{own}") == 303


def strip_clock(page: str) -> str:
    return re.sub(r'<p class="clock">.*?</p>', "", page)


def test_a_second_demo_of_the_same_folder_is_told_where_the_first_is(demo: Demo) -> None:
    again = subprocess.run(
        [sys.executable, "-c", RUN.format(PATIENTS), str(demo.state)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert again.returncode == 1
    assert demo.stack.public_url in again.stderr
    assert demo.page()


def test_ctrl_c_ends_it_and_leaves_nothing_running(demo: Demo) -> None:
    processes = Processes(demo.state)
    assert set(processes.running()) == {"ministack", "front"}
    pids = [*processes.running().values()]
    assert demo.end(signal.SIGINT) == 0
    assert not any(map(is_alive, pids))
    assert not (demo.state / "stack.json").exists()
    assert "Nothing is left running." in demo.said.read_text()


@pytest.mark.parametrize("words", ["Deploying", "The past up to"])
def test_ended_in_the_middle_it_leaves_nothing_running(tmp_path: Path, words: str) -> None:
    running = start(tmp_path)
    running.wait_for(words)
    started = [*children_of(running.process.pid), *Processes(tmp_path).running().values()]
    assert running.end(signal.SIGTERM) == 0
    assert not any(map(is_alive, started))
    assert Processes(tmp_path).running() == {}
    assert not (tmp_path / "stack.json").exists()


def is_alive(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.startswith("Z")


def children_of(pid: int) -> list[int]:
    time.sleep(0.3)
    shown = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(child) for child, parent in map(str.split, shown.splitlines()) if int(parent) == pid]
