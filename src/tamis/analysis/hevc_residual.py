"""The coefficients of one HEVC transform block: read for their bits, their values dropped.

Source: ITU-T H.265 (08/2021), clauses 7.3.8.11 (syntax), 9.3.4.2.4 to 9.3.4.2.7 (contexts),
9.3.3.11 (remaining levels) and 6.5.3 to 6.5.5 (scans).
"""

from functools import cache

from tamis.analysis.hevc_arithmetic import CONTEXT, ArithmeticDecoder
from tamis.errors import CorruptFileError

DIAGONAL, HORIZONTAL, VERTICAL = 0, 1, 2

_LAST_X, _LAST_Y = CONTEXT["last_x"], CONTEXT["last_y"]
_GROUP, _SIGNIFICANT = CONTEXT["coded_group"], CONTEXT["significant"]
_ABOVE_1, _ABOVE_2 = CONTEXT["above_1"], CONTEXT["above_2"]

_SMALL = (0, 1, 4, 5, 2, 3, 4, 5, 6, 6, 8, 8, 7, 7, 8, 8)
"""Contexts of the significance flags of a 4x4 block, by place (table 9-50)."""

Positions = tuple[tuple[int, int], ...]


@cache
def scan_order(log2: int, scan: int) -> Positions:
    """Places (x, y) of a square of side 2^log2 in scan order (6.5.3 to 6.5.5)."""
    side = range(1 << log2)
    if scan == HORIZONTAL:
        return tuple((x, y) for y in side for x in side)
    if scan == VERTICAL:
        return tuple((x, y) for x in side for y in side)
    return tuple(sorted(((x, y) for x in side for y in side), key=lambda p: (p[0] + p[1], p[0])))


@cache
def _significance(log2: int, chroma: bool, scan: int, around: int, group: int) -> tuple[int, ...]:
    """Contexts of a group's 16 significance flags, by scan position (9.3.4.2.5).

    `around` is 1 if the group to the right is coded, plus 2 if that below is; `group` is 0 for the
    group that holds the mean.
    """
    contexts = []
    for x, y in scan_order(2, scan):
        if log2 == 2:
            inc = _SMALL[4 * y + x]
        elif group == 0 and x + y == 0:
            inc = 0
        else:
            inc = (
                2 if x + y == 0 else int(x + y < 3),
                2 if y == 0 else int(y == 1),
                2 if x == 0 else int(x == 1),
                2,
            )[around]
            if not chroma:
                inc += 3 if group else 0
                inc += (9 if scan == DIAGONAL else 15) if log2 == 3 else 21
            else:
                inc += 9 if log2 == 3 else 12
        contexts.append(_SIGNIFICANT + inc + (27 if chroma else 0))
    return tuple(contexts)


def read_residual(
    decoder: ArithmeticDecoder, log2: int, chroma: bool, scan: int, hide_signs: bool
) -> None:
    """Read the coefficients of a block of side 2^log2, from the last one to the mean."""
    x = _last_prefix(decoder, log2, chroma, _LAST_X)
    y = _last_prefix(decoder, log2, chroma, _LAST_Y)
    x, y = _last_suffix(decoder, x), _last_suffix(decoder, y)
    if scan == VERTICAL:
        x, y = y, x
    groups, places = scan_order(log2 - 2, scan), scan_order(2, scan)
    if x >> log2 or y >> log2:
        raise CorruptFileError("an HEVC block has a coefficient outside")
    last_group, last_place = groups.index((x >> 2, y >> 2)), places.index((x & 3, y & 3))
    coded: set[tuple[int, int]] = set()
    above = 1
    for group in range(last_group, -1, -1):
        column, row = groups[group]
        around = ((column + 1, row) in coded) + 2 * ((column, row + 1) in coded)
        implied = False
        if 0 < group < last_group:
            if not decoder.bin(_GROUP + (around > 0) + 2 * chroma):
                continue
            implied = True
        coded.add((column, row))
        contexts = _significance(log2, chroma, scan, around, group)
        found = [last_place] if group == last_group else []
        for place in range(last_place - 1 if found else 15, 0, -1):
            if decoder.bin(contexts[place]):
                found.append(place)
                implied = False
        if found != [0] and (implied or decoder.bin(contexts[0])):
            found.append(0)
        if found:
            first_set = (0 if group == 0 or chroma else 2) + (above == 0)
            hidden = hide_signs and found[0] - found[-1] > 3
            above = _read_levels(decoder, len(found), first_set, chroma, hidden)


def _last_prefix(decoder: ArithmeticDecoder, log2: int, chroma: bool, base: int) -> int:
    offset, shift = (15, log2 - 2) if chroma else (3 * (log2 - 2) + (log2 - 1 >> 2), log2 + 1 >> 2)
    value = 0
    while value < 2 * log2 - 1 and decoder.bin(base + offset + (value >> shift)):
        value += 1
    return value


def _last_suffix(decoder: ArithmeticDecoder, prefix: int) -> int:
    if prefix < 4:
        return prefix
    count = (prefix >> 1) - 1
    return (2 + (prefix & 1) << count) + decoder.bypass(count)


def _read_levels(
    decoder: ArithmeticDecoder, count: int, context_set: int, chroma: bool, hidden: bool
) -> int:
    """Read levels and signs of a group's `count` coefficients; return what the next group needs."""
    above = 1
    bases = [1] * count  # what flags say of a level; where it may be more, the rest follows
    open_ = [True] * count
    first = None
    for i in range(min(8, count)):
        if decoder.bin(_ABOVE_1 + 4 * context_set + above + 16 * chroma):
            above = 0
            bases[i] = 2
            first = i if first is None else first
        else:
            open_[i] = False
            above += 0 < above < 3
    if first is not None:
        more = decoder.bin(_ABOVE_2 + context_set + 4 * chroma)
        bases[first] += more
        open_[first] = bool(more)
    decoder.bypass(count - hidden)
    rice = 0
    for i in range(count):
        if open_[i] and bases[i] + _remaining(decoder, rice) > 3 << rice:
            rice = min(rice + 1, 4)
    return above


def _remaining(decoder: ArithmeticDecoder, rice: int) -> int:
    prefix = 0
    while decoder.bypass():
        prefix += 1
        if prefix > 32:
            raise CorruptFileError("an HEVC block has a coefficient over 32 bits")
    if prefix < 4:
        return (prefix << rice) + decoder.bypass(rice)
    return ((1 << prefix - 3) + 2 << rice) + decoder.bypass(prefix - 3 + rice)
