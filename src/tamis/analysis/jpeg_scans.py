"""How the blocks of a JPEG scan are read: Huffman codes, one by one, their values dropped.

Source: ITU-T T.81 (09/1992), annexes F.2.2 (sequential) and G.1.2 (progressive).
"""

from collections.abc import Callable
from dataclasses import dataclass

from tamis.errors import CorruptFileError

Codes = list[int]
"""By the next 16 bits: length of the code they begin with, times 256, plus its symbol."""


@dataclass
class Component:
    """One colour plane: sampling factors, blocks, and what is known of each block.

    Attributes:
        rows: blocks from top to bottom, with those that fill up the last MCU.
        columns: blocks from left to right, likewise.
        visible: rows and columns that hold pixels of the picture.
        bits: so far, `(rows * columns,)`.
        nonzero: of each block a mask of the coefficients that earlier scans made nonzero.
    """

    horizontal: int
    vertical: int
    rows: int
    columns: int
    visible: tuple[int, int]
    bits: list[float]
    nonzero: list[int]


class Reader:
    """Bits of one entropy-coded segment, without stuffing; `at` counts them."""

    def __init__(self, segment: bytes) -> None:
        self._data = segment.replace(b"\xff\x00", b"\xff")
        self.stuffing = 8 * (len(segment) - len(self._data))
        self.size = 8 * len(self._data)
        self._data += bytes(4)
        self.at = 0

    def symbol(self, codes: Codes) -> int:
        """The next Huffman code's symbol."""
        i = self.at >> 3
        if self.at > self.size:
            raise CorruptFileError("a scan of the JPEG file ends in the middle of a block")
        data = self._data
        window = data[i] << 16 | data[i + 1] << 8 | data[i + 2]
        entry = codes[window >> (8 - (self.at & 7)) & 0xFFFF]
        if not entry:
            raise CorruptFileError("a scan of the JPEG file holds a code that no table has")
        self.at += entry >> 8
        return entry & 0xFF

    def number(self, count: int) -> int:
        """The next `count` bits, at most 16."""
        i = self.at >> 3
        if self.at + count > self.size:
            raise CorruptFileError("a scan of the JPEG file ends in the middle of a block")
        data = self._data
        window = data[i] << 16 | data[i + 1] << 8 | data[i + 2]
        self.at += count
        return window >> (24 - count - (self.at - count & 7)) & ((1 << count) - 1)


class Runs:
    """Blocks ended by one EOBn code: how many are left, and the codes still to be shared."""

    def __init__(self) -> None:
        self.left = 0
        self._codes: list[tuple[int, list[int]]] = []

    def start(self, bits: int, blocks: int) -> None:
        """A code of `bits` bits that ends `blocks` blocks, this one first."""
        self.left = blocks
        self._codes.append((bits, []))

    def take(self, block: int) -> None:
        """`block` is one of the run."""
        self.left -= 1
        self._codes[-1][1].append(block)

    def share(self, component: Component) -> None:
        """Move each code's bits from the block that holds it to all blocks it ends."""
        for bits, blocks in self._codes:
            component.bits[blocks[0]] -= bits
            for block in blocks:
                component.bits[block] += bits / len(blocks)


BlockReader = Callable[[Reader, Component, int, Runs], None]
"""Reads what a scan says of one block of a component."""


@dataclass(frozen=True)
class Band:
    """One scan of one component: its tables and the coefficients `first` to `last` it codes."""

    dc: Codes
    ac: Codes
    first: int
    last: int

    def sequential(self, reader: Reader, part: Component, block: int, runs: Runs) -> None:
        """All of a block (figures F.12 and F.13)."""
        reader.number(reader.symbol(self.dc))
        k = 1
        while k < 64:
            symbol = reader.symbol(self.ac)
            if symbol & 15:
                reader.number(symbol & 15)
            elif symbol != 0xF0:
                break
            k += (symbol >> 4) + 1

    def dc_first(self, reader: Reader, part: Component, block: int, runs: Runs) -> None:
        """The leading bits of the mean (G.1.2.1)."""
        reader.number(reader.symbol(self.dc))

    def dc_refined(self, reader: Reader, part: Component, block: int, runs: Runs) -> None:
        """One more bit of the mean."""
        reader.number(1)

    def _end(self, reader: Reader, symbol: int, start: int, runs: Runs) -> None:
        blocks = (1 << (symbol >> 4)) + reader.number(symbol >> 4)
        runs.start(reader.at - start, blocks)

    def ac_first(self, reader: Reader, part: Component, block: int, runs: Runs) -> None:
        """The leading bits of a band (figures G.3 to G.5)."""
        k = self.first
        while not runs.left and k <= self.last:
            start = reader.at
            symbol = reader.symbol(self.ac)
            if symbol & 15:
                k += symbol >> 4
                reader.number(symbol & 15)
                part.nonzero[block] |= 1 << k
                k += 1
            elif symbol == 0xF0:
                k += 16
            else:
                self._end(reader, symbol, start, runs)
        if runs.left:
            runs.take(block)

    def ac_refined(self, reader: Reader, part: Component, block: int, runs: Runs) -> None:
        """One more bit of the coefficients of a band (figures G.7 and G.8)."""
        k = self.first
        known = part.nonzero[block]
        while not runs.left and k <= self.last:
            start = reader.at
            symbol = reader.symbol(self.ac)
            if not symbol & 15 and symbol != 0xF0:
                self._end(reader, symbol, start, runs)
                break
            reader.number(symbol & 15)  # the sign of a coefficient that becomes 1 or -1
            zeros = symbol >> 4
            while k <= self.last and (known >> k & 1 or zeros):
                if known >> k & 1:
                    reader.number(1)
                else:
                    zeros -= 1
                k += 1
            if symbol & 15:
                part.nonzero[block] |= 1 << k
            k += 1
        if runs.left:
            runs.take(block)
            for place in range(k, self.last + 1):
                reader.number(known >> place & 1)


def band_reader(band: Band, progressive: bool, refined: bool) -> BlockReader:
    """How a block of this scan is read: whole, or what a progressive scan adds to it."""
    if not progressive:
        return band.sequential
    if band.first == 0:
        return band.dc_refined if refined else band.dc_first
    return band.ac_refined if refined else band.ac_first
