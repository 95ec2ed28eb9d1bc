"""Frequency tables: integers that sum to 2**24 and cost next to nothing against the densities."""

import hashlib
import math

import numpy as np
import pytest
import torch

from tamis.errors import CorruptFileError
from tamis.learned.density import Density, FactorizedDensity, GaussianDensity
from tamis.learned.frequencies import TOTAL, quantize
from tamis.learned.tables import MEAN_STEPS, SCALES, WIDTHS, ChannelTables, GaussianTables


@pytest.fixture(scope="module")
def tables() -> GaussianTables:
    return GaussianTables.build()


def trained_density(channels: int = 5) -> FactorizedDensity:
    """A density whose channels differ in width and place, as trained ones do."""
    torch.manual_seed(3)
    density = FactorizedDensity(channels)
    with torch.no_grad():
        for i, matrix in enumerate(density.matrices):
            matrix += 0.3 * torch.randn(matrix.shape) + (i == 0) * torch.arange(channels).reshape(
                -1, 1, 1
            )
        density.biases[-1] += 3 * torch.randn(channels, 1, 1)
    density.update_medians()
    return density


def rounded_medians(density: Density) -> np.ndarray:
    medians: np.ndarray = density.medians.numpy()
    return np.round(medians * MEAN_STEPS) / MEAN_STEPS


def test_the_scales_are_64_in_equal_ratios_from_0_11_to_256() -> None:
    ratios = np.diff(np.log(SCALES))
    assert len(SCALES) == 64
    assert SCALES[0] == 0.11 and SCALES[-1] == pytest.approx(256, rel=1e-12)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)


def test_every_frequency_is_positive_and_every_table_sums_to_the_total(
    tables: GaussianTables,
) -> None:
    for width, table in zip(WIDTHS, tables.frequencies, strict=True):
        assert table.shape[1] == width and table.dtype == np.int32
        assert table.min() >= 1
        assert (table.sum(1) == TOTAL).all()


def test_all_tables_together_are_small(tables: GaussianTables) -> None:
    assert max(WIDTHS) <= 130
    assert sum(array.nbytes for array in tables.to_arrays().values()) < 150_000


def test_every_scale_and_phase_has_a_table_and_every_table_is_used(tables: GaussianTables) -> None:
    assert set(tables.rows) == set(range(sum(map(len, tables.frequencies))))


def expected_bits(tables: GaussianTables, scale: int, phase: int) -> tuple[float, float]:
    """Bits a symbol under the tables, and its entropy, by summing over all latents."""
    reach = math.ceil(12 * SCALES[scale]) + 2
    distance = np.arange(-reach, reach + 1)
    mean, root = phase / MEAN_STEPS - 0.5, SCALES[scale] * 2**0.5
    edge = np.array([math.erfc((abs(d - mean) - 0.5) / root) for d in distance])
    mass = (edge - [math.erfc((abs(d - mean) + 0.5) / root) for d in distance]) / 2
    row, shift = tables.rows[scale * MEAN_STEPS + phase], tables.shifts[scale]
    kind = int(np.searchsorted(tables.starts, row, side="right")) - 1
    table = tables.frequencies[kind][row - tables.starts[kind]]
    coarse = distance >> shift
    zigzag = np.where(coarse >= 0, 2 * coarse, -2 * coarse - 1)
    over = np.maximum(zigzag - (len(table) - 1), 0)
    escape_bits = np.where(zigzag >= len(table) - 1, 2 * np.floor(np.log2(over + 1)) + 1, 0)
    cost = 24 - np.log2(table[np.minimum(zigzag, len(table) - 1)]) + shift + escape_bits
    some = mass > 0
    return float((mass * cost).sum()), float(-(mass[some] * np.log2(mass[some])).sum())


def test_no_scale_or_phase_loses_a_thousandth_of_its_rate(tables: GaussianTables) -> None:
    for scale in range(64):
        for phase in range(0, MEAN_STEPS, 3):
            bits, entropy = expected_bits(tables, scale, phase)
            assert -1e-9 < bits - entropy < 1e-3 * entropy + 2e-5, (scale, phase)


def test_wide_scales_send_low_bits_instead_of_having_wide_tables(tables: GaussianTables) -> None:
    assert tables.shifts.min() == 0 and tables.shifts.max() == 5
    assert (np.diff(tables.shifts) >= 0).all()
    narrow = np.array(SCALES) / 2.0**tables.shifts
    assert narrow.max() < WIDTHS[-1] / 2 / 4


def test_gaussian_tables_come_back_from_their_arrays(tables: GaussianTables) -> None:
    again = GaussianTables.from_arrays(tables.to_arrays())
    for name, array in again.to_arrays().items():
        np.testing.assert_array_equal(array, tables.to_arrays()[name])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("frequencies_8", lambda a: a + 1, "sum to"),
        ("frequencies_24", lambda a: a[:, :-1], "shape"),
        ("frequencies_96", lambda a: a[:0], "empty"),
        ("rows", lambda a: a + 300, "does not exist"),
        ("rows", lambda a: a[:-1], "scales"),
        ("shifts", lambda a: a - 1, "shifts"),
    ],
)
def test_arrays_that_are_no_tables_are_refused(
    tables: GaussianTables, name: str, change, message: str
) -> None:
    arrays = tables.to_arrays()
    with pytest.raises(CorruptFileError, match=message):
        GaussianTables.from_arrays({**arrays, name: change(arrays[name])})


def test_missing_arrays_are_named() -> None:
    with pytest.raises(CorruptFileError, match="lack rows, shifts"):
        GaussianTables.from_arrays({})
    with pytest.raises(CorruptFileError, match="lack lows"):
        ChannelTables.from_arrays({"widths": np.ones(1, int), "frequencies": np.ones(1, int)})


@pytest.mark.parametrize("density", [trained_density(), GaussianDensity(4)])
def test_channel_tables_hold_the_mass_of_bins_around_the_centres(density: Density) -> None:
    centres = rounded_medians(density)
    tables = ChannelTables.from_density(density, centres)
    for c, (low, width) in enumerate(zip(tables.lows, tables.widths, strict=True)):
        start = tables.starts[c]
        table = tables.frequencies[start : start + width]
        assert table.sum() == TOTAL and table.min() >= 1
        assert table[-1] / TOTAL < 2**-15  # what is left to the escape
        z = torch.zeros(1, density.channels, width - 1, 1)
        z[0, c, :, 0] = torch.arange(low, low + width - 1) + float(centres[c])
        with torch.no_grad():
            mass = density.likelihood(z)[0, c, :, 0].numpy()
        np.testing.assert_allclose(table[:-1] / TOTAL, mass, rtol=1e-3, atol=1e-5)


def test_channel_tables_come_back_from_their_arrays() -> None:
    density = trained_density()
    tables = ChannelTables.from_density(density, rounded_medians(density))
    again = ChannelTables.from_arrays(tables.to_arrays())
    for name, array in again.to_arrays().items():
        np.testing.assert_array_equal(array, tables.to_arrays()[name])


def test_a_density_far_from_its_centre_still_gets_tables() -> None:
    density = GaussianDensity(2)
    tables = ChannelTables.from_density(density, np.array([1e6, 100.0]))
    assert tables.widths.min() == 2 and tables.lows[1] < -100
    ChannelTables.from_arrays(tables.to_arrays())


def test_a_density_wider_than_a_table_may_be_leaves_the_rest_to_the_escape() -> None:
    density = GaussianDensity(1)
    with torch.no_grad():
        density.log_scales += math.log(1e4)
    tables = ChannelTables.from_density(density, np.zeros(1))
    assert tables.widths[0] == 4098
    assert tables.frequencies[-1] / TOTAL == pytest.approx(math.erfc(0.20485 / 2**0.5), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("widths", lambda a: a + 1, "as wide"),
        ("widths", lambda a: a[:-1], "no channels, or other"),
        ("lows", lambda a: a - 100_000, "farther"),
        ("frequencies", lambda a: a[::-1] + 1, "sum to"),
    ],
)
def test_arrays_that_are_no_channel_tables_are_refused(name: str, change, message: str) -> None:
    arrays = ChannelTables.from_density(GaussianDensity(3), np.zeros(3)).to_arrays()
    with pytest.raises(CorruptFileError, match=message):
        ChannelTables.from_arrays({**arrays, name: change(arrays[name])})


def test_what_masses_lack_to_one_is_the_escape_s() -> None:
    frequencies = quantize(np.array([0.5, 0.25, 0.0]))
    np.testing.assert_allclose(frequencies / TOTAL, [0.5, 0.25, 0.25], atol=1e-6)
    assert quantize(np.array([1.0, 0.0])).tolist() == [TOTAL - 1, 1]


def test_the_gaussian_tables_never_change(tables: GaussianTables) -> None:
    digest = hashlib.sha256()
    for _, array in sorted(tables.to_arrays().items()):
        digest.update(array.astype("<i4").tobytes())
    assert digest.hexdigest() == "49675b349812aad6b1e499496c11bb25eed915685427b997c19ae71b6c9f81d4"
