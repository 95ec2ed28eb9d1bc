"""VVC (H.266) intra pictures: libvvenc in the ffmpeg of imageio-ffmpeg, decoded in process by PyAV.

The pixels go to ffmpeg and the byte stream comes back over pipes. The picture is 10-bit 4:2:0,
BT.601 in video range, which the stream's VUI says (ffmpeg does not let libvvenc signal the full
range).
"""

import logging
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

import imageio_ffmpeg
import numpy as np

from tamis.codecs.base import MAX_PIXELS, Codec, Image, QualityScale, check_size
from tamis.codecs.vvc_bitstream import (
    SPS,
    SUFFIX_SEI,
    Nal,
    coded_size,
    nal_units,
    size_message,
    true_size,
)
from tamis.codecs.ycbcr import ColorFormat, Layout, Matrix, Plane, planes_to_rgb, rgb_to_planes
from tamis.errors import CodecError, CorruptFileError, LimitError

# PyAV takes longer to import than a photo to code; who codes JPEG does not wait for it.
if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.plane import VideoPlane

# PyAV hands what FFmpeg's decoders say to this logger; unhandled, it would be printed.
logging.getLogger("libav").addHandler(logging.NullHandler())

SMALLEST_SIDE = 16
"""libvvenc refuses pictures less than 16 wide; smaller ones are padded."""

VVENC_PARAMS = ":".join(
    (
        "gopsize=1",
        "intraperiod=1",
        "intraqpoffset=0",  # libvvenc codes intra pictures 3 QP finer unless told not to
        "bim=0",  # block importance mapping, the other way to change QP inside a picture
        "mctf=0",  # temporal filter
        "hrdparameterspresent=0",  # buffer timing means nothing for one picture
        "accessunitdelimiter=0",
        "alfspeed=0",  # otherwise the fast presets print a warning to stdout, into the stream
    )
)

COLOR = (
    "-color_range", "tv", "-colorspace", "smpte170m",
    "-color_primaries", "bt709", "-color_trc", "iec61966-2-1",
)  # fmt: skip

MATRICES: dict[int, Matrix] = {0: "rgb", 1: "bt709", 8: "ycgco", 9: "bt2020", 10: "bt2020"}
"""Matrix coefficients as ITU-T H.273 numbers them."""

FULL = 2
"""FFmpeg's number for the full range of sample values (`AVCOL_RANGE_JPEG`)."""


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
        "QP", 0, 63, False, (47, 44, 42, 40, 38, 36, 34, 31, 28, 25, 22), 34
    )
    max_side: ClassVar[int] = 16384

    preset: Literal["faster", "fast", "medium", "slow"] = "medium"

    @classmethod
    def missing(cls) -> str | None:
        """`imageio-ffmpeg` or `av`, where one of them lacks its half of VVC."""
        if not _encodes_vvc():
            return "imageio-ffmpeg"
        import av

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

    def draft(self) -> "Vvc":
        """The fastest preset: about an eighth of the time of `medium`."""
        return replace(self, preset="faster")

    def step(self, quality: int) -> float:
        """Quantization step in grey levels, doubling every 6 QP; it is 1 in video range at QP 4."""
        return float(2 ** ((quality - 4) / 6) * 255 / 219)

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
            "-framerate", "1", *COLOR, "-i", "pipe:0",
            "-c:v", "libvvenc", "-preset", self.preset, "-qp", str(quality), "-qpa", "0",
            "-threads", "1", "-vvenc-params", VVENC_PARAMS, *COLOR,
            "-frames:v", "1", "-f", "vvc", "pipe:1",
        ]  # fmt: skip
        # Preset slow at QP 0 takes 0.07 ms a pixel; thirty times that, for machines under load.
        timeout = 120 + 0.002 * width * height
        try:
            done = subprocess.run(
                command, input=_raw_video(image), capture_output=True, timeout=timeout
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
        image = _rgb(_decode_picture(data))
        sizes = [true_size(unit.payload) for unit in units if unit.kind == SUFFIX_SEI]
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
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        return None


@cache
def _encodes_vvc() -> bool:
    """Whether the ffmpeg found, which may be the system's own, is built with libvvenc."""
    if not (ffmpeg := _ffmpeg()):
        return False
    command = [ffmpeg, "-hide_banner", "-h", "encoder=libvvenc"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"Encoder libvvenc" in done.stdout


def _pad(image: Image) -> Image:
    height, width = image.shape[:2]
    down = max(SMALLEST_SIDE, height + height % 2) - height
    right = max(SMALLEST_SIDE, width + width % 2) - width
    return np.pad(image, ((0, down), (0, right), (0, 0)), mode="edge") if down or right else image


def _raw_video(image: Image) -> bytes:
    """Planes of `image` (even sides) one after another, as ffmpeg's `yuv420p10le`."""
    planes = rgb_to_planes(image, ColorFormat(limited=True))
    # In video range, unlike the full one, a sample of 10 bits is exactly four of 8 bits.
    return b"".join((plane.astype("<u2") << 2).tobytes() for plane in planes)


def _decode_picture(data: bytes) -> "VideoFrame":
    """The only picture of a VVC stream."""
    import av

    context = av.CodecContext.create("vvc", "r")
    context.thread_count = 1
    # By default FFmpeg conceals errors; a wrong picture must not pass for the right one.
    context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "explode+careful"}
    frames: list[VideoFrame] = []
    try:
        for packet in [*context.parse(data), *context.parse(None), None]:
            frames += context.decode(packet)
    except (av.FFmpegError, ValueError) as error:
        raise CorruptFileError("not a whole VVC picture: its decoder finds an error") from error
    except MemoryError as error:
        raise LimitError("not enough memory for this VVC picture") from error
    if len(frames) != 1 or frames[0].is_corrupt:
        raise CorruptFileError(f"expected one whole VVC picture, found {len(frames)}")
    return frames[0]


def _rgb(frame: "VideoFrame") -> Image:
    """Convert a decoded picture as its stream says, BT.601 and video range where it does not."""
    components = frame.format.components
    depth = components[0].bits
    if len(components) == 1:
        layout: Layout = "400"
    else:
        wide = components[1].width == frame.width
        layout = "444" if components[1].height == frame.height and wide else "422"
        layout = "420" if components[1].height < frame.height else layout
    color = ColorFormat(
        layout, MATRICES.get(int(frame.colorspace), "bt601"), int(frame.color_range) != FULL, depth
    )
    planes = [_samples(plane, depth) for plane in frame.planes]
    return planes_to_rgb(planes, frame.width, frame.height, color)


def _samples(plane: "VideoPlane", depth: int) -> Plane:
    kind = np.dtype(np.uint8) if depth == 8 else np.dtype("<u2")
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width * kind.itemsize].copy().view(kind)
