"""VVC (H.266) intra pictures: libvvenc in the ffmpeg of imageio-ffmpeg, decoded in process by PyAV.

The pixels go to ffmpeg and the byte stream comes back over pipes. The picture is 10-bit 4:2:0,
BT.601, full range (as in JPEG and BPG), which the stream's VUI says.
"""

import subprocess
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import av
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from tamis.codecs.base import MAX_PIXELS, Codec, Image, QualityScale, check_size
from tamis.codecs.vvc_bitstream import (
    SEI_SUFFIX,
    SPS,
    Nal,
    coded_size,
    nal_units,
    size_message,
    true_size,
)
from tamis.errors import CodecError, CorruptFileError, LimitError

SMALLEST_SIDE = 16
"""libvvenc refuses pictures less than 16 wide; smaller ones are padded."""

VVENC_PARAMS = ":".join(
    (
        "gopsize=1",
        "intraperiod=1",
        "intraqpoffset=0",  # libvvenc codes intra pictures 3 QP finer unless told not to
        "hrdparameterspresent=0",  # buffer timing means nothing for one picture
        "accessunitdelimiter=0",
        "alfspeed=0",  # otherwise the fast presets print a warning to stdout, into the stream
    )
)

COLOUR = ("-color_range pc -colorspace smpte170m -color_primaries bt709 -color_trc iec61966-2-1"
).split()  # fmt: skip


@dataclass(frozen=True)
class Vvc(Codec):
    """A VVC elementary stream (`.266`) of one intra picture at a fixed QP.

    4:2:0 needs even sides and libvvenc at least 16 pixels. Other sizes are padded by repeating
    the last row and column; a user data message carries the true size, so that `decode` returns
    exactly the source's size, while other decoders show the padding.

    Attributes:
        preset: effort of libvvenc; slower presets give smaller files.
    """

    name: ClassVar[str] = "vvc"
    suffix: ClassVar[str] = ".266"
    quality: ClassVar[QualityScale] = QualityScale(
        "QP", 0, 63, False, (51, 48, 45, 42, 40, 37, 34, 31, 28, 25, 22), 37
    )
    max_side: ClassVar[int] = 16384

    preset: Literal["faster", "fast", "medium", "slow"] = "medium"

    @classmethod
    def missing(cls) -> str | None:
        """`imageio-ffmpeg` or `av`, where one of them lacks its half of VVC."""
        if not _ffmpeg():
            return "imageio-ffmpeg"
        return None if "vvc" in av.codecs_available else "av"

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Whether `head` is an Annex B stream that begins with a VVC parameter set or delimiter."""
        start = head.find(b"\0\0\1")
        if start not in (0, 1) or head[:start].strip(b"\0") or len(head) < start + 5:
            return False
        header = head[start + 3 : start + 5]
        # Layer 0, then a type from operating point information (12) to parameter sets (16), a
        # delimiter (20) or a prefix message (23), in temporal layer 0.
        return header[0] == 0 and header[1] & 7 == 1 and header[1] >> 3 in {12, 13, 14, 15, 20, 23}

    def step(self, quality: int) -> float:
        """Quantization step in grey levels: it doubles every 6 QP and is 1 at QP 4."""
        return float(2 ** ((quality - 4) / 6))

    def _encode(self, image: Image, quality: int) -> bytes:
        height, width = image.shape[:2]
        padded = _pad(image)
        stream = self._run(padded, quality)
        if padded.shape != image.shape:
            stream += size_message(width, height)
        return stream

    def _run(self, image: Image, quality: int) -> bytes:
        height, width = image.shape[:2]
        command = [
            _ffmpeg() or "ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error",
            "-f", "rawvideo", "-pixel_format", "yuv420p10le", "-video_size", f"{width}x{height}",
            "-framerate", "1", *COLOUR, "-i", "pipe:0",
            "-c:v", "libvvenc", "-preset", self.preset, "-qp", str(quality), "-qpa", "0",
            "-threads", "1", "-vvenc-params", VVENC_PARAMS, *COLOUR,
            "-frames:v", "1", "-f", "vvc", "pipe:1",
        ]  # fmt: skip
        # The slowest case seen, preset slow at QP 0, takes 0.2 ms a pixel; ten times that.
        timeout = 120 + 0.002 * width * height
        try:
            done = subprocess.run(
                command, input=rgb_to_planes(image), capture_output=True, timeout=timeout
            )
        except subprocess.TimeoutExpired as error:
            raise CodecError(
                f"libvvenc took more than {timeout:.0f} s on {width}x{height} pixels"
            ) from error
        except OSError as error:
            raise CodecError(f"ffmpeg does not start: {error}") from error
        if done.returncode or not self.recognizes(done.stdout[:64]):
            reason = done.stderr.decode(errors="replace").strip().splitlines()
            raise CodecError(f"libvvenc failed: {reason[-1] if reason else 'no output'}")
        return done.stdout

    def _decode(self, data: bytes) -> Image:
        units = list(nal_units(data))
        self._check_sizes(units)
        image = planes_to_rgb(_decode_picture(data))
        sizes = [true_size(unit.payload) for unit in units if unit.kind == SEI_SUFFIX]
        width, height = next(filter(None, sizes), (image.shape[1], image.shape[0]))
        if not (0 < width <= image.shape[1] and 0 < height <= image.shape[0]):
            raise CorruptFileError("the VVC stream announces a true size larger than its picture")
        return image[:height, :width]

    def _check_sizes(self, units: list[Nal]) -> None:
        sets = [unit for unit in units if unit.kind == SPS]
        if not sets:
            raise CorruptFileError("the VVC stream has no sequence parameter set")
        for unit in sets:
            check_size(self.name, *coded_size(unit.payload), self.max_side)


@cache
def _ffmpeg() -> str | None:
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        return None


def _pad(image: Image) -> Image:
    height, width = image.shape[:2]
    down = max(SMALLEST_SIDE, height + height % 2) - height
    right = max(SMALLEST_SIDE, width + width % 2) - width
    return np.pad(image, ((0, down), (0, right), (0, 0)), mode="edge") if down or right else image


def _decode_picture(data: bytes) -> VideoFrame:
    """The only picture of a VVC stream."""
    context = av.CodecContext.create("vvc", "r")
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "explode+careful"}
    frames: list[VideoFrame] = []
    try:
        for packet in [*context.parse(data), *context.parse(None)]:
            frames += context.decode(packet)  # type: ignore[attr-defined]
        frames += context.decode(None)  # type: ignore[attr-defined]
    except (av.FFmpegError, ValueError) as error:
        raise CorruptFileError("not a whole VVC picture: the decoder gave up on it") from error
    except MemoryError as error:
        raise LimitError("not enough memory for this VVC picture") from error
    if len(frames) != 1 or frames[0].is_corrupt:
        raise CorruptFileError(f"a VVC file here is one whole picture; this has {len(frames)}")
    return frames[0]


PEAK = 1023
"""Largest sample value: libvvenc in ffmpeg takes 10 bits."""


def rgb_to_planes(image: Image) -> bytes:
    """The 10-bit 4:2:0 planes Y, Cb, Cr of `image` (even sides), little-endian, one after another."""
    red, green, blue = (image[..., i].astype(np.float32) * (PEAK / 255) for i in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = ((blue - luma) / 1.772, (red - luma) / 1.402)
    halved = [_halve(plane) + (PEAK + 1) / 2 for plane in chroma]
    planes = [np.clip(np.rint(plane), 0, PEAK).astype("<u2") for plane in (luma, *halved)]
    return b"".join(plane.tobytes() for plane in planes)


def planes_to_rgb(frame: VideoFrame) -> Image:
    """The RGB picture of a decoded frame, the inverse of `rgb_to_planes` up to rounding."""
    if frame.format.name != "yuv420p10le":
        return frame.to_ndarray(format="rgb24")
    luma, cb, cr = (_plane(frame, i) for i in range(3))
    cb, cr = (
        _double(plane - (PEAK + 1) / 2)[: luma.shape[0], : luma.shape[1]] for plane in (cb, cr)
    )
    red = luma + 1.402 * cr
    blue = luma + 1.772 * cb
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    rgb = np.stack((red, green, blue), axis=-1) * (255 / PEAK)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _plane(frame: VideoFrame, index: int) -> npt.NDArray[np.float32]:
    plane = frame.planes[index]
    samples = np.frombuffer(plane, "<u2").reshape(plane.height, plane.line_size // 2)
    return samples[:, : plane.width].astype(np.float32)


def _halve(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    rows = plane[::2] + plane[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / 4


def _double(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Linear interpolation of samples that lie midway between four pixels, edges repeated."""
    for axis in (0, 1):
        padded = np.pad(plane, [(1, 1) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
        middle, before, after = (
            padded.take(range(start, start + plane.shape[axis]), axis) for start in (1, 0, 2)
        )
        pair = (0.75 * middle + 0.25 * before, 0.75 * middle + 0.25 * after)
        shape = [2 * n if i == axis else n for i, n in enumerate(plane.shape)]
        plane = np.stack(pair, axis=axis + 1).reshape(shape)
    return plane
