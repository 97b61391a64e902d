"""Downloads from a server of our own: whole, broken off, resumed, false, silent; and what is kept of them."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from artgen import DataError, ResourceError, download
from artgen.download import Published, kept_part, pinned
from artgen.run.lock import Lock

BODY = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves BODY and notes the ranges that it is asked for; `ends` are the places where its connections break off."""

    daemon_threads = True
    knows_ranges = True
    status = 200
    silent_seconds = silent_at_the_end_seconds = 0.0
    told_start = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.ranges, self.ends = [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/net-{SHA256[:8]}.pth"

    def handle_error(self, request, client_address):
        """A client that hangs up is no fault."""


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        time.sleep(self.server.silent_seconds)
        if self.server.status != 200:
            return self.send_error(self.server.status)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.knows_ranges else 0
        if start >= len(BODY):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            told = start if self.server.told_start is None else self.server.told_start
            self.send_header("Content-Range", f"bytes {told}-{len(BODY) - 1}/{len(BODY)}")
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        self.wfile.write(BODY[start : self.server.ends.pop(0) if self.server.ends else None])
        time.sleep(self.server.silent_at_the_end_seconds)

    def log_message(self, *words):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "cache" / "weights" / "head.bin"


def head(file, sha256):
    """What these tests keep of the file."""
    assert sha256 == SHA256
    return file.read(100)


def part_of(kept):
    return kept.with_name(f"net-{SHA256[:8]}.pth.part")


def fetched(server, kept, sha256=SHA256, at_hand=()):
    assert kept_part(Published(server.url, sha256), kept, head, at_hand) == kept
    assert kept.read_bytes() == BODY[:100]
    assert pinned(kept)
    assert not part_of(kept).exists()


def begun(kept, content):
    kept.parent.mkdir(parents=True)
    part_of(kept).write_bytes(content)


def test_only_the_part_that_is_cut_is_kept_and_not_fetched_again(server, kept, capsys):
    fetched(server, kept)
    pin = kept.with_name("head.bin.sha256").read_text()
    assert pin == f"{hashlib.sha256(BODY[:100]).hexdigest()}  head.bin\n"
    fetched(server, kept)
    assert server.ranges == [None]
    assert capsys.readouterr().err == ""  # no bar where there is no terminal


def test_the_first_digits_of_a_digest_do_where_no_more_is_known(server, kept):
    fetched(server, kept, SHA256[:8])


def test_a_connection_that_breaks_off_is_taken_up_where_it_did(server, kept):
    server.ends = [1_000_000, 1_500_001]
    fetched(server, kept)
    assert server.ranges == [None, "bytes=1000000-", "bytes=1500001-"]


def test_a_download_of_an_earlier_start_goes_on(server, kept):
    begun(kept, BODY[:700_000])
    fetched(server, kept)
    assert server.ranges == ["bytes=700000-"]


def test_a_whole_one_of_an_earlier_start_is_only_looked_at(server, kept):
    begun(kept, BODY)
    fetched(server, kept)


def test_a_server_that_knows_no_ranges_sends_it_anew(server, kept):
    server.knows_ranges = False
    begun(kept, BODY[:700_000])
    fetched(server, kept)
    assert len(server.ranges) == 1


def test_a_range_that_was_not_asked_for_is_not_appended(server, kept):
    server.told_start = 5
    begun(kept, BODY[:700_000])
    fetched(server, kept)
    assert server.ranges == ["bytes=700000-", None]


def test_one_that_began_as_another_file_is_begun_anew(server, kept):
    begun(kept, b"x" * 700_000)
    fetched(server, kept)
    assert server.ranges == ["bytes=700000-", None]


def test_a_file_with_another_digest_is_refused_and_not_kept(server, kept):
    with pytest.raises(DataError, match=f"has the SHA-256 {SHA256}, not {'0' * 64}"):
        kept_part(Published(server.url, "0" * 64), kept, head)
    assert server.ranges == [None]
    assert not kept.exists()
    assert not part_of(kept).exists()


def test_one_that_breaks_off_again_and_again_is_given_up_and_left_for_later(server, kept):
    server.ends = [500_000] * 100
    with pytest.raises(DataError, match="breaks off"):
        kept_part(Published(server.url, SHA256), kept, head)
    assert len(server.ranges) == download.CONNECTIONS
    assert part_of(kept).read_bytes() == BODY[:500_000]
    server.ends = []
    fetched(server, kept)


def test_without_a_network_it_says_what_was_looked_for_and_where(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as taken:  # bound and not listening: whoever calls is refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/net.pth"
        (tmp_path / "other.pth").write_bytes(b"another net")
        places = (tmp_path / "net.pth", tmp_path / "other.pth")
        with pytest.raises(DataError) as caught:
            kept_part(Published(url, SHA256), kept, head, places)
    said = str(caught.value)
    assert f"{url} cannot be reached" in said
    assert f"{places[0]} (not there), {places[1]} (another SHA-256)" in said
    assert f"curl -fLO {url}" in said


def test_a_server_that_has_it_not_is_told(server, kept):
    server.status = 404
    with pytest.raises(DataError, match="answers 404"):
        kept_part(Published(server.url, SHA256), kept, head)


def test_a_silent_server_is_not_waited_for(server, kept, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.1)
    server.silent_seconds = 1.0
    begun_at = time.monotonic()
    with pytest.raises(DataError, match="cannot be reached \\(timed out\\)"):
        kept_part(Published(server.url, SHA256), kept, head)
    assert time.monotonic() - begun_at < 1.0


def test_nor_one_that_falls_silent(server, kept, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.1)
    server.ends, server.silent_at_the_end_seconds = [500_000] * 100, 0.5
    begun_at = time.monotonic()
    with pytest.raises(DataError, match="breaks off"):
        kept_part(Published(server.url, SHA256), kept, head)
    assert time.monotonic() - begun_at < 2.0
    assert len(part_of(kept).read_bytes()) == 500_000


@pytest.mark.parametrize("sha256", [SHA256, SHA256[:8]])
def test_one_that_is_at_hand_is_taken_and_stays(server, kept, tmp_path, sha256):
    whole = tmp_path / "net.pth"
    whole.write_bytes(BODY)
    fetched(server, kept, sha256, (tmp_path / "nowhere.pth", whole))
    assert server.ranges == []
    assert whole.read_bytes() == BODY


@pytest.mark.parametrize("damaged", ["head.bin", "head.bin.sha256"])
def test_a_kept_part_that_is_damaged_is_made_anew(server, kept, damaged):
    fetched(server, kept)
    kept.with_name(damaged).write_bytes(b"x")
    assert pinned(kept) is False
    fetched(server, kept)
    assert len(server.ranges) == 2


def test_a_file_without_a_digest_beside_it_is_not_judged(tmp_path):
    (tmp_path / "any.bin").write_bytes(b"x")
    assert pinned(tmp_path / "any.bin") is None
    (tmp_path / "any.bin.sha256").mkdir()
    assert pinned(tmp_path / "any.bin") is False


def test_of_two_at_once_one_downloads(server, kept):
    server.silent_seconds = 0.3
    threads = [threading.Thread(target=fetched, args=(server, kept)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fetched(server, kept)
    assert len(server.ranges) == 1


def test_another_process_that_makes_no_headway_is_not_waited_for(server, kept, monkeypatch):
    monkeypatch.setattr(download, "STALLED_SECONDS", 0.3)
    begun(kept, BODY[:10])
    lock = Lock(kept.with_name(f"net-{SHA256[:8]}.pth.lock"))
    with pytest.raises(ResourceError, match="no headway \\(process"):
        kept_part(Published(server.url, SHA256), kept, head)
    lock.release()
    fetched(server, kept)


def test_a_cache_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file")
    with pytest.raises(ResourceError, match="a download cannot be kept"):
        kept_part(Published(server.url, SHA256), tmp_path / "cache" / "head.bin", head)
