"""HEVC's arithmetic decoder with its contexts for intra slices, and what each bin costs.

A bin narrows the coder's interval from R to R'; that costs log2(R / R') bits, in whole bits where
the decoder shifts and in fractions between. Costs add up: over a slice they are the bits of its
data to the last one, which is what makes a count by blocks exact.

Source: ITU-T H.265 (08/2021), clause 9.3 (tables 9-5 to 9-37 and 9-46 to 9-48).
"""

import math

import numpy as np

from tamis.errors import CorruptFileError

# Initial values of every context of an intra slice (initType 0), in the order of the syntax.
_INITIAL: dict[str, bytes] = {
    name: bytes.fromhex(values)
    for name, values in {
        "sao_merge": "99",
        "sao_type": "c8",
        "split_cu": "8b8d9d",
        "bypass_cu": "9a",
        "part_mode": "b8",
        "known_mode": "b8",
        "chroma_mode": "3f",
        "split_transform": "998a8a",
        "coded_luma": "6f8d",
        "coded_chroma": "5e8ab69a9a",
        "qp_delta": "9a9a",
        "transform_skip": "8b8b",
        "last_x": "6e6e7c7d8c997d7f8c6d6f8f7f6f4f6c7b3f",
        "last_y": "6e6e7c7d8c997d7f8c6d6f8f7f6f4f6c7b3f",
        "coded_group": "5bab868d",
        "significant": "6f6f7d6e6e5e7c6c7c6b7d8db3997d6b7d8db3997d6b7d8db3997d8c8bb6b698"
        "88988899888b6f888b6f",
        "above_1": "8c5c898a8c988a8b994a955c8b6b7a988cb3a6b68ce37ac5",
        "above_2": "8a9988a79898",
    }.items()
}

CONTEXT: dict[str, int] = {}
"""Where the contexts of each syntax element begin in the decoder's table."""
for _name in _INITIAL:
    CONTEXT[_name] = sum(len(_INITIAL[known]) for known in CONTEXT)

# Range of the less probable symbol: four quantized ranges for each of the 64 states (table 9-46).
_LPS = bytes.fromhex(
    "80b0d0f080a7c5e3809ebbd87b96b2cd748ea9c36f87a0b9698098af647a90a65f74899e5a6e829655687b8e"
    "516375874d5e6f804959697a4555647442505f6e3e4c5a683b4856633845515e35414d59333e4955303b4550"
    "2e38424c2b353f4829323b4527303841252d363e232b333b2129303820272e351e252b321d2329301b21272d"
    "1a1f252b181e2329171c2127161b2025151a1e2314181d2113171b1f12161a1e1115191c1014171b0f131619"
    "0e1215180e1114170d1013160c0f12150c0e11140b0e10130b0d0f120a0c0f110a0c0e10090b0d0f090b0c0e"
    "080a0c0e08090b0d07090b0c07090a0c07080a0b0608090b0607090a0607080902020202"
)

# State after the less probable symbol (table 9-47); after the more probable one it is the next.
_AFTER_LPS = bytes.fromhex(
    "000001020204040506070809090b0b0c0d0d0f0f10101212131315151616171818191a1a1b1b1c1d1d1e"
    "1e1e1f2020212121222223232324242425252526263f"
)

# The same by state and more probable value together, as contexts are kept: 2 * state + value.
_ON_MPS = [2 * min(state + 1, 62) + value for state in range(63) for value in (0, 1)]
_ON_LPS = [
    2 * _AFTER_LPS[state] + (1 - value if state == 0 else value)
    for state in range(63)
    for value in (0, 1)
]

_START = 510  # the interval at the start; 9 bits are read into it


def initial_contexts(qp: int) -> list[int]:
    """Contexts at the start of an intra slice of QP `qp` (9.3.2.2): 2 * state + likely value."""
    contexts = []
    for value in b"".join(_INITIAL.values()):
        slope, offset = 5 * (value >> 4) - 45, ((value & 15) << 3) - 16
        state = min(max(1, (slope * min(max(0, qp), 51) >> 4) + offset), 126)
        contexts.append(2 * (state - 64) + 1 if state > 63 else 2 * (63 - state))
    return contexts


class ArithmeticDecoder:
    """Decodes the bins of one slice and counts their bits.

    Attributes:
        contexts: the adaptive states; begins of elements are in `CONTEXT`.
    """

    def __init__(self, data: bytes, contexts: list[int]) -> None:
        self._bits: list[int] = np.unpackbits(np.frombuffer(data, np.uint8)).tolist()
        self._at = 0
        self._spent = 0.0
        self.contexts = contexts
        self._start()

    def _start(self) -> None:
        self._from = self._at + 9
        self._offset = int("".join(map(str, self._bits[self._at : self._from])), 2)
        self._at = self._from
        self._range = _START

    @property
    def position(self) -> float:
        """Bits that the bins decoded so far have cost."""
        return self._spent + self._at - self._from + math.log2(_START / self._range)

    def bin(self, context: int) -> int:
        """A bin of an adaptive context (9.3.4.3.2)."""
        state = self.contexts[context]
        lps = _LPS[(state >> 1 << 2) + (self._range >> 6 & 3)]
        rest = self._range - lps
        if self._offset < rest:
            self.contexts[context] = _ON_MPS[state]
            if rest < 256:
                rest <<= 1
                self._offset = self._offset << 1 | self._bits[self._at]
                self._at += 1
            self._range = rest
            return state & 1
        self.contexts[context] = _ON_LPS[state]
        self._offset -= rest
        while lps < 256:
            lps <<= 1
            self._offset = self._offset << 1 | self._bits[self._at]
            self._at += 1
        self._range = lps
        return 1 - (state & 1)

    def bypass(self, count: int = 1) -> int:
        """An unsigned number of `count` equally probable bins (9.3.4.3.4)."""
        value = 0
        for _ in range(count):
            self._offset = self._offset << 1 | self._bits[self._at]
            self._at += 1
            value <<= 1
            if self._offset >= self._range:
                self._offset -= self._range
                value |= 1
        return value

    def terminate(self) -> bool:
        """A bin that ends the slice or a part of it, or not (9.3.4.3.5)."""
        self._range -= 2
        if self._offset >= self._range:
            self._range = 2
            return True
        if self._range < 256:
            self._range <<= 1
            self._offset = self._offset << 1 | self._bits[self._at]
            self._at += 1
        return False

    def restart(self, contexts: list[int]) -> None:
        """Go on behind a terminating bin at the next whole byte, as wavefronts do."""
        self._spent = self.position
        self._check_stop()
        self._at = -(-self._at // 8) * 8
        self.contexts = contexts
        self._start()

    def finish(self) -> None:
        """Check that nothing follows the last terminating bin but its stop bit and zeros.

        Raises:
            CorruptFileError: something does, so that not every bin was understood.
        """
        self._check_stop()
        if any(self._bits[self._at :]):
            raise CorruptFileError("an HEVC slice goes on behind its last block")

    def _check_stop(self) -> None:
        if not self._bits[self._at - 1]:
            raise CorruptFileError("an HEVC slice does not end where its blocks do")
