"""The audit of what is pinned: it never takes silence for good news. The sources of advisories are stand-ins here."""

import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from local import audit
from local.audit import REQUIREMENTS, Unanswered, audit_node, audit_python, pins_of
from local.judges import PINS as NODE_PINS

OLD_DJANGO = ("django", "3.2.1")
OLD_MINIMIST = ("minimist", "0.0.8")
PINS = {("six", "1.17.0"): ["runtime.txt"], ("idna", "3.20"): ["audit.txt", "dev.txt"], ("idna", "3.1"): ["sam.txt"]}


class Advisories(ThreadingHTTPServer):
    """Answers as OSV and as npm's registry do, from what it knows; `fails_after` that many questions with an error."""

    def __init__(self, known: set[tuple[str, str]], fails_after: int = 1_000_000) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.known, self.left = known, fails_after
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Answer(BaseHTTPRequestHandler):
    server: Advisories

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        question = json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.server.left -= 1
        if self.server.left < 0:
            self.send_error(500)
        elif self.path.endswith("/advisories/bulk"):
            self._say({name: [_npm_s(name)] for name, versions in question.items() if self._knows(name, *versions)})
        else:
            name, version = question["package"]["name"], question["version"]
            self._say({"vulns": [_osv_s(name)]} if self._knows(name, version) else {})

    def do_GET(self) -> None:  # npm looks up which versions of a weak package there are
        name = self.path.strip("/")
        self._say(
            {"name": name, "versions": {v: {"name": name, "version": v} for n, v in self.server.known if n == name}}
        )

    def _knows(self, name: str, *versions: str) -> bool:
        pins = {(name, version) for version in versions}
        self.server.asked += pins
        return bool(pins & self.server.known)

    def _say(self, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *_: Any) -> None:
        pass


def _osv_s(name: str) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9999"}]}]
    affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}]
    return {"id": f"MADE-UP-{name}", "summary": "made up", "affected": affected}


def _npm_s(name: str) -> dict[str, Any]:
    return {
        "id": len(name),
        "url": "made up",
        "title": f"made up: {name}",
        "severity": "high",
        "vulnerable_versions": "<9999",
        "cwe": [],
    }


@contextmanager
def a_source(*known: tuple[str, str], **differences: int) -> Iterator[Advisories]:
    source = Advisories(set(known), **differences)
    Thread(target=source.serve_forever, daemon=True).start()
    yield source
    source.shutdown()
    source.server_close()


@pytest.fixture
def npm_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Points npm at a source; nothing that it learnt before counts."""

    def ask(url: str) -> None:
        monkeypatch.setenv("npm_config_registry", url)
        monkeypatch.setenv("npm_config_cache", str(tmp_path))

    return ask


def test_the_audit_asks_for_every_pin_and_passes_where_nothing_is_known(npm_asks, monkeypatch, capsys) -> None:
    with a_source(OLD_DJANGO, OLD_MINIMIST) as source:
        npm_asks(source.url)
        monkeypatch.setattr(sys, "argv", ["audit", "--osv-url", source.url])
        assert audit.main() == 0
    assert capsys.readouterr().out == "Nothing is known against any pinned package.\n"
    files = sorted(REQUIREMENTS.glob("*.txt"))
    assert {"runtime.txt", "dev.txt", "sam.txt", "audit.txt"} <= {file.name for file in files}
    in_lock = json.loads((NODE_PINS / "package-lock.json").read_text())["packages"]
    node = {(path.rpartition("node_modules/")[2], package["version"]) for path, package in in_lock.items() if path}
    assert set(pins_of(files)) | node <= set(source.asked)


def test_a_source_out_of_reach_is_no_pass(npm_asks, monkeypatch, capsys) -> None:
    with a_source() as gone:
        nowhere = gone.url
    npm_asks(nowhere)
    monkeypatch.setattr(sys, "argv", ["audit", "--osv-url", nowhere])
    assert audit.main() == 2
    said = capsys.readouterr().out
    assert "The Python packages were NOT audited: pip-audit got no answer. Is its source of advisories within" in said
    assert "The Node packages were NOT audited: npm got no answer." in said
    assert "Nothing is known" not in said


def test_a_weak_pin_is_named_with_the_files_it_stands_in() -> None:
    with a_source(OLD_DJANGO, ("idna", "3.20")) as source:
        assert audit_python(PINS, source.url) == ["idna 3.20 (audit.txt, dev.txt): MADE-UP-idna, mended in 9999"]


def test_a_weak_package_of_node_is_named(npm_asks) -> None:
    version = json.loads((NODE_PINS / "package-lock.json").read_text())["packages"]["node_modules/caniemail"]["version"]
    with a_source(OLD_MINIMIST, ("caniemail", version)) as source:
        npm_asks(source.url)
        found = audit_node(NODE_PINS)
    assert found == ["caniemail * (npm/package-lock.json): high, made up: caniemail"]


def test_weaknesses_fail_the_audit(npm_asks, monkeypatch, capsys, tmp_path) -> None:
    (tmp_path / "runtime.txt").write_text("six==1.17.0\n")
    monkeypatch.setattr(audit, "REQUIREMENTS", tmp_path)
    with a_source(OLD_DJANGO, OLD_MINIMIST, ("six", "1.17.0")) as source:
        npm_asks(source.url)
        monkeypatch.setattr(sys, "argv", ["audit", "--osv-url", source.url])
        assert audit.main() == 1
    assert capsys.readouterr().out == "six 1.17.0 (runtime.txt): MADE-UP-six, mended in 9999\n"


def test_a_source_that_knows_nothing_is_not_believed(npm_asks) -> None:
    with a_source() as source:
        npm_asks(source.url)
        with pytest.raises(Unanswered, match=r"knows nothing against django 3\.2\.1, so its silence proves nothing"):
            audit_python(PINS, source.url)
        with pytest.raises(Unanswered, match=r"knows nothing against minimist 0\.0\.8"):
            audit_node(NODE_PINS)


def test_a_source_that_breaks_off_half_way_is_no_pass() -> None:
    with a_source(OLD_DJANGO, fails_after=2) as source, pytest.raises(Unanswered, match="pip-audit got no answer"):
        audit_python(PINS, source.url)


def test_an_advisory_that_cannot_be_read_is_no_pass(monkeypatch) -> None:
    with a_source(OLD_DJANGO, ("six", "1.17.0")) as source:
        readable = _osv_s
        monkeypatch.setitem(globals(), "_osv_s", lambda name: {**readable(name), **UNREADABLE.get(name, {})})
        with pytest.raises(Unanswered, match="did not judge every pin"):
            audit_python(PINS, source.url)


UNREADABLE = {"six": {"schema_version": "2.0.0"}}


def test_what_is_no_pin_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("six==1.17.0 \\\n    --hash=sha256:0\nidna>=3\n")
    with pytest.raises(Unanswered, match="a line that is no pin: idna>=3"):
        pins_of([tmp_path / "x.txt"])
