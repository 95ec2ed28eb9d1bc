"""Bits of every 8x8 block of a JPEG file, counted by reading its Huffman codes one by one.

Nothing is estimated: a block's bits are those of its own codes, in baseline files and in every scan
of progressive ones. Two things have no one owner and are shared: the bits of a chroma block between
the luma blocks under it, and the code that ends a run of blocks (EOBRUN) between the blocks of the
run. Both are shared equally.

Source: ITU-T T.81 (09/1992), annexes B (markers), F.2.2 (sequential) and G.1.2 (progressive).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tamis.analysis.bits import Array, BitMap, fold
from tamis.analysis.jpeg_scans import Band, Codes, Component, Reader, Runs, band_reader
from tamis.errors import CorruptFileError, TamisError

BLOCK = 8

_SOF_BASELINE, _SOF_EXTENDED, _SOF_PROGRESSIVE = 0xC0, 0xC1, 0xC2
_DHT, _EOI, _SOS, _DRI = 0xC4, 0xD9, 0xDA, 0xDD
_OTHER_FRAMES = set(range(0xC3, 0xD0)) - {_DHT, 0xC8, 0xCC}
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True)
class _Frame:
    width: int
    height: int
    progressive: bool
    components: dict[int, Component]

    @property
    def mcu(self) -> tuple[int, int]:
        """Largest horizontal and vertical sampling factors."""
        parts = self.components.values()
        return max(p.horizontal for p in parts), max(p.vertical for p in parts)


def jpeg_bits(data: bytes) -> BitMap:
    """Bits of the 8x8 luma blocks of a JPEG file, with their share of the chroma blocks.

    Raises:
        CorruptFileError: not a whole JPEG file.
        TamisError: a coding process other than Huffman-coded baseline or progressive.
    """
    try:
        frame = _read(data)
    except (IndexError, KeyError, ValueError, ZeroDivisionError) as error:
        raise CorruptFileError(f"not a whole JPEG file: {error or type(error).__name__}") from error
    bits = _on_luma(frame)
    return BitMap(bits, BLOCK, frame.width, frame.height, 8 * len(data) - float(bits.sum()))


def _read(data: bytes) -> _Frame:
    """The frame of a file after all its scans."""
    frame: _Frame | None = None
    codes: dict[int, Codes] = {}
    interval = 0
    for marker, body, scan in _segments(data):
        if marker == _DHT:
            codes |= _tables(body)
        elif marker == _DRI:
            interval = int.from_bytes(body, "big")
        elif marker in (_SOF_BASELINE, _SOF_EXTENDED, _SOF_PROGRESSIVE):
            frame = _read_frame(body, marker == _SOF_PROGRESSIVE)
        elif marker in _OTHER_FRAMES:
            raise TamisError(f"JPEG coding process SOF{marker - 0xC0} has no map of its bits")
        elif marker == _SOS:
            if frame is None:
                raise CorruptFileError("the JPEG file has a scan before its frame header")
            _read_scan(frame, codes, interval, body, scan)
    if frame is None:
        raise CorruptFileError("the JPEG file has no frame header")
    return frame


def _segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Every marker with its parameters, and for a scan its entropy-coded bytes."""
    if data[:2] != b"\xff\xd8":
        raise CorruptFileError("these bytes do not begin like a JPEG file")
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if len(data) < at + 2 or data[at] != 0xFF:
            raise CorruptFileError("the JPEG file ends without its end marker")
        marker = data[at + 1]
        if marker == _EOI:
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body, at = data[at + 4 : at + 2 + length], at + 2 + length
        scan = b""
        if marker == _SOS:
            end = _SCAN_END.search(data, at)
            if end is None:
                raise CorruptFileError("the JPEG file ends in the middle of a scan")
            scan, at = data[at : end.start()], end.start()
        yield marker, body, scan


def _tables(body: bytes) -> dict[int, Codes]:
    """Huffman tables of a DHT segment by class and destination (`0x10` is AC table 0)."""
    tables: dict[int, Codes] = {}
    at = 0
    while at < len(body):
        counts = body[at + 1 : at + 17]
        symbols = body[at + 17 : at + 17 + sum(counts)]
        table: Codes = []
        used = 0
        for length, count in enumerate(counts, start=1):
            for symbol in symbols[used : used + count]:
                table += [length << 8 | symbol] * (1 << (16 - length))
            used += count
        tables[body[at]] = table + [0] * (65536 - len(table))
        at += 17 + len(symbols)
    return tables


def _read_frame(body: bytes, progressive: bool) -> _Frame:
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    entries = [body[6 + 3 * i : 9 + 3 * i] for i in range(body[5])]
    factors = [(entry[1] >> 4, entry[1] & 15) for entry in entries]
    most_h, most_v = max(h for h, _ in factors), max(v for _, v in factors)
    across, down = -(-width // (BLOCK * most_h)), -(-height // (BLOCK * most_v))
    components = {}
    for entry, (h, v) in zip(entries, factors, strict=True):
        rows, columns = down * v, across * h
        visible = -(-height * v // (most_v * BLOCK)), -(-width * h // (most_h * BLOCK))
        count = rows * columns
        components[entry[0]] = Component(
            h, v, rows, columns, visible, [0.0] * count, [0] * count
        )  # fmt: skip
    return _Frame(width, height, progressive, components)


def _read_scan(
    frame: _Frame, codes: dict[int, Codes], interval: int, body: bytes, scan: bytes
) -> None:
    """Add the bits of one scan to the blocks of its components."""
    count = body[0]
    chosen = [frame.components[body[1 + 2 * i]] for i in range(count)]
    tables = [body[2 + 2 * i] for i in range(count)]
    first, last, approximation = body[1 + 2 * count], body[2 + 2 * count], body[3 + 2 * count]
    readers = [
        band_reader(
            Band(codes.get(t >> 4, []), codes.get(0x10 | t & 15, []), first, last),
            frame.progressive,
            approximation >> 4 > 0,
        )
        for t in tables
    ]
    units = _units(frame, chosen)
    pieces = _RESTART.split(scan)
    per_piece = interval or len(units)
    if len(pieces) != -(-len(units) // per_piece):
        raise CorruptFileError("a scan of the JPEG file has too few or too many restart markers")
    for i, piece in enumerate(pieces):
        reader = Reader(piece)
        runs = Runs()
        for unit in units[i * per_piece : (i + 1) * per_piece]:
            for which, block in unit:
                start = reader.at
                readers[which](reader, chosen[which], block, runs)
                chosen[which].bits[block] += reader.at - start
        runs.share(chosen[0])
        if not 0 <= reader.size - reader.at < 8:
            raise CorruptFileError("a scan of the JPEG file does not end where its blocks do")


def _units(frame: _Frame, chosen: list[Component]) -> list[list[tuple[int, int]]]:
    """What a scan codes between two possible restarts: pairs (component of the scan, block)."""
    if len(chosen) == 1:  # not interleaved: only blocks with pixels, row by row (A.2.2)
        rows, columns = chosen[0].visible
        across = chosen[0].columns
        return [[(0, y * across + x)] for y in range(rows) for x in range(columns)]
    most_h, most_v = frame.mcu
    across, down = -(-frame.width // (BLOCK * most_h)), -(-frame.height // (BLOCK * most_v))
    return [
        [
            (i, (my * part.vertical + v) * part.columns + mx * part.horizontal + h)
            for i, part in enumerate(chosen)
            for v in range(part.vertical)
            for h in range(part.horizontal)
        ]
        for my in range(down)
        for mx in range(across)
    ]


def _on_luma(frame: _Frame) -> Array:
    """Bits on the grid of the finest component's blocks, cut to the picture."""
    across, down = frame.mcu
    parts = list(frame.components.values())
    grid: Array = np.zeros((max(p.rows for p in parts), max(p.columns for p in parts)))
    for part in parts:
        tall, wide = down // part.vertical, across // part.horizontal
        own = np.array(part.bits).reshape(part.rows, part.columns) / (tall * wide)
        grid += np.repeat(np.repeat(own, tall, axis=0), wide, axis=1)
    return fold(grid, -(-frame.height // BLOCK), -(-frame.width // BLOCK))
