"""The blocks of one HEVC intra slice, read for what each of them costs.

Coding trees are walked as a decoder does, down to coefficients, without making a picture. Bits are
booked where they are spent: a split flag on the block that it splits or not, prediction modes on
the coding block, coefficients on the transform block, chroma on the luma that it colours.

Source: ITU-T H.265 (08/2021), clauses 7.3.8.2 to 7.3.8.12 (syntax), 8.4.2 and 8.4.3 (modes).
"""

import numpy as np

from tamis.analysis.bits import Array
from tamis.analysis.hevc_arithmetic import CONTEXT, ArithmeticDecoder, initial_contexts
from tamis.analysis.hevc_headers import Pps, Slice
from tamis.analysis.hevc_residual import DIAGONAL, HORIZONTAL, VERTICAL, read_residual
from tamis.codecs.hevc_sps import Sps
from tamis.errors import TamisError

CELL = 8
"""Side of the cells that bits are booked on: HEVC's smallest coding block."""

_GREY, _420, _422, _444 = range(4)
_PLANAR, _DC, _ACROSS, _DOWN = 0, 1, 10, 26
_CHROMA_MODES = (_PLANAR, _DOWN, _ACROSS, _DC)


class PictureReader:
    """Walks the coding trees of a slice.

    Attributes:
        bits: spent so far, `(rows, columns)` of cells.
    """

    def __init__(self, sps: Sps, pps: Pps, slice_: Slice) -> None:
        tools = sps.tools
        if sps.chroma_format == _422 or tools.pcm or (tools.range_extension or 0):
            raise TamisError(
                "HEVC pictures in 4:2:2, with PCM blocks or range extension tools have no map of "
                "their bits"
            )
        self._sps, self._pps, self._slice = sps, pps, slice_
        self._log2_cb = tools.log2_min_cb_minus3 + 3
        self._log2_ctb = self._log2_cb + tools.log2_diff_max_min_cb
        self._log2_tb = tools.log2_min_tb_minus2 + 2
        self._log2_most_tb = self._log2_tb + tools.log2_diff_max_min_tb
        self._decoder = ArithmeticDecoder(slice_.data, initial_contexts(slice_.qp))
        self.bits: Array = np.zeros((-(-sps.height // CELL), -(-sps.width // CELL)))
        self._booked = 0.0
        # Of every 4x4 block: prediction mode and depth in the coding tree.
        shape = (sps.height // 4 + 16, sps.width // 4 + 16)
        self._modes = np.full(shape, _DC, np.uint8)
        self._depths = np.zeros(shape, np.uint8)
        self._bypassed = False
        self._qp_coded = True

    def read(self) -> Array:
        """Read the whole slice and return `bits`.

        Raises:
            CorruptFileError: the slice does not end with its last block.
        """
        size = 1 << self._log2_ctb
        columns, rows = -(-self._sps.width // size), -(-self._sps.height // size)
        beside = initial_contexts(self._slice.qp)
        for index in range(rows * columns):
            x, y = index % columns * size, index // columns * size
            if self._slice.sao_luma or self._slice.sao_chroma:
                self._read_sao(x, y)
            self._book(x, y, size)
            self._read_quadtree(x, y, self._log2_ctb, 0)
            if index % columns == min(1, columns - 1):  # where the next row's contexts come from
                beside = list(self._decoder.contexts)
            last = index == rows * columns - 1
            if self._decoder.terminate() != last:
                raise TamisError("HEVC pictures of several slices have no map of their bits")
            if self._pps.wavefront and not last and index % columns == columns - 1:
                self._decoder.terminate()
                self._decoder.restart(list(beside))
            self._book(x, y, size)
        self._decoder.finish()
        return self.bits

    def _book(self, x: int, y: int, size: int) -> None:
        """What was spent since the last booking belongs to the block at (x, y)."""
        now = self._decoder.position
        rows = slice(y // CELL, -(-(y + size) // CELL))
        columns = slice(x // CELL, -(-(x + size) // CELL))
        cells = self.bits[rows, columns]
        cells += (now - self._booked) / cells.size
        self._booked = now

    def _read_sao(self, x: int, y: int) -> None:
        read = self._decoder
        for neighbour in (x, y):
            if neighbour and read.bin(CONTEXT["sao_merge"]):
                return
        kind = 0
        for plane in range(3 if self._sps.chroma_format else 1):
            if not (self._slice.sao_chroma if plane else self._slice.sao_luma):
                continue
            if plane < 2:
                kind = 0
                if read.bin(CONTEXT["sao_type"]):
                    kind = 1 + read.bypass()
            if not kind:
                continue
            most = (1 << min(self._sps.depth, 10) - 5) - 1
            offsets = [self._unary(most) for _ in range(4)]
            if kind == 1:  # band offset: signs and the band's place
                read.bypass(sum(offset > 0 for offset in offsets) + 5)
            elif plane < 2:
                read.bypass(2)  # direction of the edge

    def _unary(self, most: int) -> int:
        value = 0
        while value < most and self._decoder.bypass():
            value += 1
        return value

    def _read_quadtree(self, x: int, y: int, log2: int, depth: int) -> None:
        size = 1 << log2
        width, height = self._sps.width, self._sps.height
        if x + size <= width and y + size <= height and log2 > self._log2_cb:
            deeper = int(x > 0 and self._depths[y >> 2, (x >> 2) - 1] > depth)
            deeper += int(y > 0 and self._depths[(y >> 2) - 1, x >> 2] > depth)
            split = self._decoder.bin(CONTEXT["split_cu"] + deeper)
            self._book(x, y, size)
        else:
            split = int(log2 > self._log2_cb)
        if (
            self._pps.qp_delta_depth is not None
            and log2 >= self._log2_ctb - self._pps.qp_delta_depth
        ):
            self._qp_coded = False
        if not split:
            self._read_coding_unit(x, y, log2, depth)
            return
        half = size >> 1
        for dx, dy in ((0, 0), (half, 0), (0, half), (half, half)):
            if x + dx < width and y + dy < height:
                self._read_quadtree(x + dx, y + dy, log2 - 1, depth + 1)

    def _read_coding_unit(self, x: int, y: int, log2: int, depth: int) -> None:
        read, size = self._decoder, 1 << log2
        cells = slice(y >> 2, y + size >> 2), slice(x >> 2, x + size >> 2)
        self._depths[cells] = depth
        self._bypassed = bool(self._pps.bypass and read.bin(CONTEXT["bypass_cu"]))
        quarters = log2 == self._log2_cb and not read.bin(CONTEXT["part_mode"])
        part = size >> quarters
        corners = [(x + dx, y + dy) for dy in range(0, size, part) for dx in range(0, size, part)]
        known = [read.bin(CONTEXT["known_mode"]) for _ in corners]
        modes = []
        for (px, py), is_known in zip(corners, known, strict=True):
            candidates = self._candidates(px, py)
            if is_known:
                mode = candidates[self._unary(2)]
            else:
                mode = read.bypass(5)
                for candidate in sorted(candidates):
                    mode += mode >= candidate
            modes.append(mode)
            self._modes[py >> 2 : py + part >> 2, px >> 2 : px + part >> 2] = mode
        chroma = [
            self._read_chroma_mode(mode)
            for mode in (modes if self._sps.chroma_format == _444 else modes[:1])
            if self._sps.chroma_format
        ]
        self._book(x, y, size)
        self._read_transforms(x, y, log2, 0, bool(quarters), chroma, (1, 1), 0)

    def _candidates(self, x: int, y: int) -> list[int]:
        """The three most probable modes (8.4.2)."""
        left = int(self._modes[y >> 2, (x >> 2) - 1]) if x else _DC
        # Modes of the row of coding trees above are not kept.
        inside = y & ((1 << self._log2_ctb) - 1)
        above = int(self._modes[(y >> 2) - 1, x >> 2]) if inside else _DC
        if left != above:
            third = next(mode for mode in (_PLANAR, _DC, _DOWN) if mode not in (left, above))
            return [left, above, third]
        if left < 2:
            return [_PLANAR, _DC, _DOWN]
        return [left, 2 + (left + 29) % 32, 2 + (left - 1) % 32]

    def _read_chroma_mode(self, luma: int) -> int:
        if not self._decoder.bin(CONTEXT["chroma_mode"]):
            return luma
        mode = _CHROMA_MODES[self._decoder.bypass(2)]
        return 34 if mode == luma else mode

    def _read_transforms(
        self, x: int, y: int, log2: int, depth: int, quarters: bool, chroma: list[int],
        parent: tuple[int, int], index: int,
    ) -> None:  # fmt: skip
        """A transform tree (7.3.8.8); `parent` says whether Cb and Cr above have coefficients."""
        read = self._decoder
        if (
            self._log2_tb < log2 <= self._log2_most_tb
            and depth < self._sps.tools.max_transform_depth_intra + quarters
            and not (quarters and depth == 0)
        ):
            split = bool(read.bin(CONTEXT["split_transform"] + 5 - log2))
        else:
            split = log2 > self._log2_most_tb or (quarters and depth == 0)
        coded = parent
        if self._sps.chroma_format and (log2 > 2 or self._sps.chroma_format == _444):
            cb = read.bin(CONTEXT["coded_chroma"] + depth) if parent[0] else 0
            cr = read.bin(CONTEXT["coded_chroma"] + depth) if parent[1] else 0
            coded = cb, cr
        elif not self._sps.chroma_format:
            coded = 0, 0
        if split:
            half = 1 << log2 - 1
            for i, (dx, dy) in enumerate(((0, 0), (half, 0), (0, half), (half, half))):
                modes = [chroma[i]] if len(chroma) == 4 else chroma
                self._read_transforms(
                    x + dx, y + dy, log2 - 1, depth + 1, quarters, modes, coded, i
                )
            return
        luma = read.bin(CONTEXT["coded_luma"] + (depth == 0))
        if (luma or any(coded)) and not self._qp_coded:
            self._read_qp_delta()
        if luma:
            self._read_block(log2, False, int(self._modes[y >> 2, x >> 2]))
        if self._sps.chroma_format == _444 or log2 > 2:
            for flag in coded:
                if flag:
                    smaller = log2 - (self._sps.chroma_format == _420)
                    self._read_block(smaller, True, chroma[0])
        elif index == 3:  # four 4x4 luma blocks share the chroma blocks of the last
            for flag in coded:
                if flag:
                    self._read_block(2, True, chroma[0])
        self._book(x, y, 1 << log2)

    def _read_block(self, log2: int, chroma: bool, mode: int) -> None:
        if self._pps.transform_skip and log2 == 2 and not self._bypassed:
            self._decoder.bin(CONTEXT["transform_skip"] + chroma)
        scan = DIAGONAL
        if log2 == 2 or (log2 == 3 and (not chroma or self._sps.chroma_format == _444)):
            scan = VERTICAL if 6 <= mode <= 14 else HORIZONTAL if 22 <= mode <= 30 else DIAGONAL
        hide = bool(self._pps.sign_hiding) and not self._bypassed
        read_residual(self._decoder, log2, chroma, scan, hide)

    def _read_qp_delta(self) -> None:
        read = self._decoder
        self._qp_coded = True
        value = 0
        while value < 5 and read.bin(CONTEXT["qp_delta"] + (value > 0)):
            value += 1
        if value == 5:  # the rest as an Exp-Golomb code of order 0
            order = 0
            while read.bypass():
                order += 1
            read.bypass(order)
        if value:
            read.bypass()
