"""One intra picture through x265 and FFmpeg's HEVC decoder, both inside PyAV; no files, no logs."""

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tamis.codecs.ycbcr import Plane
from tamis.errors import CodecError, CorruptFileError

# PyAV takes longer to import than a photo to code; who codes JPEG does not wait for it.
if TYPE_CHECKING:
    from av.video.plane import VideoPlane

Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]
"""Effort of x265, from the fastest to the smallest file."""


# Escaped for FFmpeg's key=value:key=value lists.
_LAMBDA_FILE = re.sub(r"([\\':=])", r"\\\1", str(Path(__file__).with_name("x265_lambda.txt")))

BLOCK = 8
"""Smallest coding block of x265; planes are padded to a multiple of it."""

MIN_CODED_SIDE = 16
"""Shortest coded side that x265 takes."""


def pad(plane: Plane, height: int, width: int) -> Plane:
    """Repeat the last row and column up to `height` x `width`."""
    return np.pad(plane, ((0, height - plane.shape[0]), (0, width - plane.shape[1])), "edge")


def encode_intra(planes: list[Plane], qp: int, preset: Preset) -> bytes:
    """Encode 8-bit planes (Y, Cb, Cr; 4:2:0 or 4:4:4 by their shapes) at a constant QP.

    Both sides of the luma plane are multiples of `BLOCK`, at least `MIN_CODED_SIDE`. Returns an
    Annex B stream: VPS, SPS, PPS and one IDR picture. The settings are those of `bpgenc`: tune
    `ssim`, which turns off psycho-visual bias, and no adaptive quantization; so the picture is
    coded at `max(0, qp - 3)`, x265's offset of intra pictures.
    """
    height, width = planes[0].shape
    layout = "yuv444p" if planes[1].shape == planes[0].shape else "yuv420p"
    settings = {
        "qp": qp,
        "keyint": 1,
        "ctu": max(size for size in (16, 32, 64) if size <= min(width, height)),
        "allow-non-conformance": 1,  # levels are lost with the SPS; refuse no long thin picture
        "info": 0,
        "repeat-headers": 1,
        "annexb": 1,
        "pools": "none",  # one picture is one thread; callers run several pictures at once
        "frame-threads": 1,
        "log-level": "none",
        "lambda-file": _LAMBDA_FILE,
    }
    import av
    from av.video.frame import VideoFrame

    encoder = av.CodecContext.create("libx265", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, layout
    encoder.time_base = Fraction(1, 25)
    encoder.options = {
        "preset": preset,
        "tune": "ssim",
        "x265-params": ":".join(f"{key}={value}" for key, value in settings.items()),
    }
    samples = np.concatenate([plane.reshape(-1) for plane in planes])
    shape = (3, height, width) if layout == "yuv444p" else (-1, width)
    frame = VideoFrame.from_ndarray(samples.reshape(shape), format=layout)
    frame.pts = 0
    try:
        return b"".join(bytes(packet) for f in (frame, None) for packet in encoder.encode(f))
    except av.FFmpegError as error:
        raise CodecError(f"x265 refuses a {width}x{height} picture: {error}") from error


def decode_intra(stream: bytes) -> tuple[list[Plane], int]:
    """Decode an Annex B stream of exactly one picture to its planes and their bit depth.

    Raises:
        CorruptFileError: FFmpeg reports any error, or not exactly one picture comes out.
    """
    import av

    decoder = av.CodecContext.create("hevc", "r")
    decoder.thread_count = 1
    # By default FFmpeg conceals errors; a wrong picture must not pass for the right one.
    decoder.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    try:
        frames = [f for packet in (av.Packet(stream), None) for f in decoder.decode(packet)]
    except (av.FFmpegError, ValueError) as error:
        raise CorruptFileError(f"the HEVC picture does not decode: {error}") from error
    if len(frames) != 1 or frames[0].is_corrupt:
        raise CorruptFileError(f"expected one whole HEVC picture, found {len(frames)}")
    frame = frames[0]
    depth = frame.format.components[0].bits
    return [_samples(plane, depth) for plane in frame.planes], depth


def _samples(plane: "VideoPlane", depth: int) -> Plane:
    kind = np.dtype(np.uint8) if depth == 8 else np.dtype("<u2")
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width * kind.itemsize].copy().view(kind)
