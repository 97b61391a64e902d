"""Films as a browser shows them: how long, how large, and in which colours. Needs `chromium`."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue

import numpy as np
import pytest
from cards import COLOURS, encoding_of, in_pieces, worst

from artgen.film.segments import join

CARD = COLOURS.repeat(32, 0).repeat(32, 1)  # (96, 128, 3)
PAGE = b"""<!doctype html><video muted></video><img><script>
const say = found => fetch("/found", {method: "POST", body: JSON.stringify(found)})
const pixels = (shown, width, height) => {
  const canvas = new OffscreenCanvas(width, height), paper = canvas.getContext("2d")
  paper.drawImage(shown, 0, 0)
  return Array.from(paper.getImageData(0, 0, width, height).data)
}
const play = async video => {
  video.src = URL.createObjectURL(await (await fetch("/film")).blob())  // it can be searched
  await new Promise((done, failed) => { video.onloadeddata = done; video.onerror = () => failed(video.error.message) })
  const looks = []
  for (const time of [0.1, 0.9, 0.5]) {
    const drawn = new Promise(done => video.requestVideoFrameCallback(done))
    video.currentTime = time
    await drawn
    looks.push(pixels(video, video.videoWidth, video.videoHeight))
  }
  return {duration: video.duration, width: video.videoWidth, height: video.videoHeight, looks}
}
const look = async image => {
  image.src = "/film"
  await image.decode()
  return {duration: 1, width: image.width, height: image.height, looks: [pixels(image, image.width, image.height)]}
}
const found = KIND == "video" ? play(document.querySelector("video")) : look(document.querySelector("img"))
found.then(say, why => say({failed: String(why)}))
</script>"""


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("needs chromium on the PATH")
    return found


def shown_by(browser, folder, film, kind):
    """What a browser says of a film."""
    answers = Queue()

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            content = film.read_bytes() if self.path == "/film" else PAGE.replace(b"KIND", json.dumps(kind).encode())
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self):
            answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    # Drawn as a graphics card draws, by software: Chromium's own code without one clips a factor of blue at 2.
    options = ["--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with subprocess.Popen(
            [browser, *options, "--no-first-run", f"--user-data-dir={folder / 'browser'}", address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                return answers.get(timeout=60)
            except Empty:
                pytest.fail("the browser said nothing")
            finally:
                process.kill()
                server.shutdown()


@pytest.mark.parametrize(
    ("kind", "bits", "off"),
    [("mp4", 8, 2), ("hevc", 8, 2), ("av1", 8, 2), ("av1", 10, 4), ("webm", 8, 2), ("apng", 8, 0)],
)
def test_a_browser_shows_the_colours_of_a_test_card(tmp_path, browser, kind, bits, off):
    """Of 10 bits it keeps 8 before it makes colours of them."""
    encoding = encoding_of(kind, CARD.shape[:2], bits=bits, crf=1)
    pieces = in_pieces(tmp_path, encoding, np.array([CARD] * 25), [10, 8, 7])
    join(pieces, tmp_path / "film", encoding, 25, "note")
    told = shown_by(browser, tmp_path, tmp_path / "film", "image" if kind == "apng" else "video")
    if "failed" in told and kind in ("mp4", "hevc"):
        pytest.skip(f"this browser was built without {kind}: {told['failed']}")
    assert "failed" not in told
    assert (told["width"], told["height"]) == (128, 96)
    assert abs(told["duration"] - 1) <= 0.001
    for look in told["looks"]:
        assert worst(np.array(look, np.uint8).reshape(96, 128, 4)[..., :3], CARD) <= off
