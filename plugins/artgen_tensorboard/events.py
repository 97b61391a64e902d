"""One event file a session, as TensorBoard reads it. Needs the package `tensorboard`.

Records are written and handed to the system one by one, by the thread that trains: a run that is killed has them all
but for the last, which TensorBoard passes over if it is torn. torch's SummaryWriter and TensorBoard's EventFileWriter
keep up to two minutes of them in a thread of their own; all three take 0.13 s to import beside torch.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter

from artgen.run.record import RunFolder

_CLOCK = ("images", "steps")
_RGB = 3
_PNG_SIZE = struct.Struct(">16x2I")
"""Width and height in the head of a PNG file."""


class EventLog:
    """The events of one session; their steps are images shown.

    What an earlier session wrote after its last checkpoint is done again, so it no longer counts. TensorBoard learns
    that from the mark START at the first image of this session; without any checkpoint the older files go.

    Raises:
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: RunFolder) -> None:
        sessions = folder.info["sessions"]
        images = sessions[-1]["from_images"]
        home = folder.path / "tensorboard"
        home.mkdir(exist_ok=True)
        earlier = list(home.glob("events.out.tfevents.*"))
        for file in [] if images else earlier:
            file.unlink()
        # Files are read in the order of their names, and a session has its number for good.
        self._records = RecordWriter((home / f"events.out.tfevents.{len(sessions):010}.artgen").open("wb"))
        self._shown: tuple[float, float] | None = None
        first = images + 1 if images else 0
        self._write(0, file_version="brain.Event:2")
        self._write(first, session_log=SessionLog(status=SessionLog.START))
        if not (images and earlier):
            self.text("recipe", f"```\n{folder.recipe_toml}\n```", first)

    def step(self, scalars: Mapping[str, float]) -> None:
        """Add what the progress line shows, and how fast it came, previews and checkpoints included."""
        images, now_seconds = scalars["images"], time.monotonic()
        figures = {tag: value for tag, value in scalars.items() if tag not in _CLOCK}
        if self._shown is not None:
            images_before, seconds_before = self._shown
            figures["images_per_second"] = (images - images_before) / max(now_seconds - seconds_before, 1e-9)
        self._shown = images, now_seconds
        self.figures(figures, int(images))

    def figures(self, figures: Mapping[str, float], images: int) -> None:
        """Add a point to the curve of each figure."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
        self._write(images, summary=Summary(value=values))

    def picture(self, tag: str, png: bytes, images: int) -> None:
        """Add a PNG file as it is."""
        width, height = _PNG_SIZE.unpack_from(png)
        picture = Summary.Image(height=height, width=width, colorspace=_RGB, encoded_image_string=png)
        self._write(images, summary=Summary(value=[Summary.Value(tag=tag, image=picture)]))

    def text(self, tag: str, markdown: str, images: int) -> None:
        """Add a text, which TensorBoard reads as Markdown."""
        tensor = TensorProto(
            dtype=DT_STRING,
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
            string_val=[markdown.encode()],
        )
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        self._write(images, summary=Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)]))

    def close(self) -> None:
        """Let go of the file."""
        self._records.close()

    def _write(self, images: int, **what: object) -> None:
        self._records.write(Event(wall_time=time.time(), step=images, **what).SerializeToString())
        self._records.flush()
