"""HEVC pictures narrower than x265 takes: a row or a column of 8x8 blocks, stored as PCM.

x265 codes no side under 16 samples. Where BPG's coded size has a side of 8, every 16x16 coding tree
is split at the border of the picture without a flag, so that a block is one arithmetic-coded bin
(`part_mode`), `pcm_flag` and the samples themselves: a lossless picture, whatever the QP.

Source: ITU-T H.265 (08/2021), clauses 7.3.8.5 to 7.3.8.7 (coding unit, PCM), 9.3.4.4 (encoding).
"""

from tamis.codecs.hevc_bitstream import PPS, BitWriter, escape
from tamis.codecs.hevc_sps import CodingTools, Pcm
from tamis.codecs.ycbcr import Plane

_BLOCK = 8
_IDR_N_LP = 20

PCM_TOOLS = CodingTools(0, 1, 0, 2, 0, 0, Pcm(7, 7, 0, 0, 1), 0, None)
"""16x16 coding trees, 8x8 blocks, 8-bit PCM samples that no loop filter touches."""

# Table 9-46, qRangeIdx 3: range of the less probable symbol, for the 63 adaptive states.
_LPS_RANGE = bytes.fromhex(
    "f0e3d8cdc3b9afa69e968e87807a746e68635e5955"
    "504c4845413e3b383532302d2b29272523211f1e1c"
    "1b191817161514131211100f0e0e0d0c0c0b0b0a09"
)


class _ArithmeticEncoder:
    """CABAC for bins equal to the more probable symbol, and for terminating bins."""

    def __init__(self, bits: BitWriter) -> None:
        self._bits = bits
        self._low, self._range = 0, 510
        self._first, self._outstanding = True, 0

    def likely(self, state: int) -> None:
        """A bin that equals the more probable symbol of a context in `state`."""
        self._range -= _LPS_RANGE[state]
        self._renormalize()

    def terminate(self, last: bool) -> None:
        """`pcm_flag` or the end of the slice; where it is 1, flush (9.3.4.5), ending in a 1."""
        self._range -= 2
        if not last:
            self._renormalize()
            return
        self._low += self._range
        self._range = 2
        self._renormalize()
        self._put(self._low >> 9 & 1)
        self._bits.u(2, self._low >> 7 & 3 | 1)

    def _renormalize(self) -> None:
        while self._range < 256:
            if self._low < 256:
                self._put(0)
            elif self._low >= 512:
                self._low -= 512
                self._put(1)
            else:
                self._low -= 256
                self._outstanding += 1
            self._range <<= 1
            self._low <<= 1

    def _put(self, bit: int) -> None:
        if self._first:
            self._first = False
        else:
            self._bits.u(1, bit)
        for _ in range(self._outstanding):
            self._bits.u(1, 1 - bit)
        self._outstanding = 0


def write_pcm_picture(planes: list[Plane]) -> list[bytes]:
    """PPS and slice of 8-bit planes one of whose luma sides is 8, the other a multiple of 8."""
    blocks = max(planes[0].shape) // _BLOCK
    slices = [_block_samples(planes, index) for index in range(blocks)]
    data = bytes((_IDR_N_LP << 1, 1)) + _slice_header()
    state = 0  # of part_mode, whose more probable value, 1, is the one that is coded
    bits = BitWriter()
    encoder = _ArithmeticEncoder(bits)
    for index, samples in enumerate(slices):
        encoder.likely(state)
        state = min(state + 1, len(_LPS_RANGE) - 1)
        encoder.terminate(last=True)
        data += bits.padded(stop_bit=False) + samples
        bits = BitWriter()
        encoder = _ArithmeticEncoder(bits)
        if index % 2 or index == blocks - 1:  # the end of a coding tree
            encoder.terminate(last=index == blocks - 1)
    return [_pps(), escape(data + bits.padded(stop_bit=False))]


def _block_samples(planes: list[Plane], index: int) -> bytes:
    """The samples of block `index` along the longer side, plane after plane."""
    parts = []
    for plane in planes:
        size = min(plane.shape)
        start = index * size
        wide = plane.shape[1] > size
        block = plane[:, start : start + size] if wide else plane[start : start + size]
        parts.append(block.tobytes())
    return b"".join(parts)


def _pps() -> bytes:
    bits = BitWriter()
    bits.u(16, PPS << 9 | 1)
    bits.ue(0, 0)
    bits.u(7, 0)
    bits.ue(0, 0, 0)  # one reference each, init_qp 26
    bits.u(3, 0)
    bits.ue(0, 0)  # chroma QP offsets
    bits.u(6, 0)  # no weights, bypass, tiles, wavefronts
    bits.u(1, 0)  # no filter across slices
    bits.u(1, 0)  # no deblocking control
    bits.u(1, 0)
    bits.u(1, 0)
    bits.ue(0)
    bits.u(2, 0)
    return escape(bits.padded(stop_bit=True))


def _slice_header() -> bytes:
    bits = BitWriter()
    bits.u(2, 0b10)  # first slice of the picture
    bits.ue(0, 2, 0)  # PPS 0, an I slice, the QP of the PPS
    return bits.padded(stop_bit=True)
