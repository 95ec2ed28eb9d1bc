"""The whole measurement: known correlation found again, the same numbers however it was run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from random_fields import ar1, as_tensor, source_of

from tamis.analysis.information import mutual_information
from tamis.analysis.jackknife import estimate
from tamis.analysis.measures import Measures, adjacent_correlation, chance_level, shape
from tamis.analysis.pairs import DIRECTIONS, offsets
from tamis.analysis.patches import Patches
from tamis.analysis.places import draw
from tamis.analysis.protocol import Protocol, measure
from tamis.analysis.sources import LatentSample, open_source
from tamis.analysis.tally import Tally
from tamis.errors import TamisError
from tamis.learned.models import create_model

Tallied = Callable[..., Tally]
RHOS = [0.0, 0.3, 0.6, 0.8, 0.9]


@pytest.fixture(scope="module")
def fields(tallied: Tallied) -> Tally:
    return tallied(lambda random: LatentSample(as_tensor(ar1(random, RHOS))), 800)


@pytest.fixture(scope="module")
def white(tallied: Tallied) -> Tally:
    def draw(random: np.random.Generator) -> LatentSample:
        return LatentSample(torch.from_numpy(random.standard_normal((60, 8, 8), dtype=np.float32)))

    return tallied(draw, 256, pairs=100)


def test_the_correlation_of_ar1_fields_is_found(fields: Tally) -> None:
    found = adjacent_correlation(fields.pooled(), "y")
    assert np.abs(found - RHOS).max() < 0.01


def test_one_pass_gives_what_all_pairs_together_give(noise: list[Path], tallied: Tallied) -> None:
    def draw_fields(random: np.random.Generator) -> LatentSample:
        return LatentSample(as_tensor(5 + ar1(random, RHOS)))

    firsts, seconds = [], []
    protocol = Protocol(source_of(draw_fields), Patches(tuple(noise), 90, 128))
    for block in range(protocol.patches.blocks):
        patches = protocol.patches.block(block)
        for patch, y in zip(patches, protocol.look(patches)[0]["y"], strict=True):
            drawn = draw(patch.random, 32, 200)
            flat = y.reshape(len(RHOS), -1)
            firsts.append(flat[:, drawn.first[:2].ravel()])
            seconds.append(flat[:, drawn.second[:2].ravel()])
    assert firsts[0].shape == (len(RHOS), 200)
    pairs = np.concatenate(firsts, 1), np.concatenate(seconds, 1)
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(*pairs, strict=True)]
    found = adjacent_correlation(tallied(draw_fields, 90).pooled(), "y")
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_it_falls_with_distance_as_it_must(fields: Tally) -> None:
    found = fields.pooled().moments["pairs/y"].correlation()[..., 0, 1]
    for i, offset in enumerate(offsets(32)):
        steps = sum(abs(n) for n in DIRECTIONS[offset.direction]) * offset.distance
        assert np.abs(found[:, i] - np.array(RHOS) ** steps).max() < 0.02, offset


def test_independent_channels_do_not_correlate(fields: Tally) -> None:
    r = fields.pooled().moments["channels/y"].correlation()
    assert np.abs(r - np.eye(len(RHOS))).max() < 0.02


def test_mutual_information_of_gaussian_fields(fields: Tally) -> None:
    found = mutual_information(fields.pooled().counts["joint/y"])
    expected = -0.5 * np.log2(1 - np.array(RHOS) ** 2)
    np.testing.assert_allclose(found, expected, rtol=0.07, atol=0.002)
    assert mutual_information(fields.pooled().counts["strangers/y"]).max() < 0.005


def test_intervals_cover_the_truth_about_as_often_as_they_say(tallied: Tallied) -> None:
    rho = 0.7

    def draw(random: np.random.Generator) -> LatentSample:
        return LatentSample(as_tensor(ar1(random, [rho] * 60, 12)))

    tally = tallied(draw, 256, pairs=60)
    fisher = estimate(tally, Measures(np.ones(60, bool), 1.0))["fisher/y"]
    low, high = fisher.interval()
    covered = ((low < np.arctanh(rho)) & (np.arctanh(rho) < high)).mean()
    assert covered >= 0.88
    # Pairs of one patch are alike, so the error is not that of as many independent pairs.
    assert np.median(fisher.error) > 1.25 / np.sqrt(256 * 60)


def test_the_chance_level_of_white_noise(white: Tally) -> None:
    level = chance_level(white, "y")
    assert np.median(level) == pytest.approx(2.365 / np.sqrt(256 * 100), rel=0.15)
    above = np.abs(adjacent_correlation(white.pooled(), "y")) > level
    assert above.mean() < 0.15


def test_feature_statistics(tallied: Tallied) -> None:
    def draw(random: np.random.Generator) -> LatentSample:
        y = [random.normal(0.5, 4, (16, 16)), random.laplace(0, 1, (16, 16)), np.zeros((16, 16))]
        return LatentSample(as_tensor(np.stack(y)))

    pooled = tallied(draw, 500).pooled()
    found = shape(pooled)
    bits = Measures(np.ones(3, bool), 1 / 64)(pooled)["entropy"]
    # Rounding keeps the differential entropy of a wide Gaussian.
    assert bits[0] == pytest.approx(np.log2(4 * np.sqrt(2 * np.pi * np.e)), abs=0.01)
    assert bits[2] == 0
    np.testing.assert_allclose(found["kurtosis"], [0, 3, 0], atol=0.2)
    np.testing.assert_allclose(found["deviation"], [4, np.sqrt(2), 0], rtol=0.01)
    np.testing.assert_allclose(found["zeros"][1:], [1 - np.exp(-0.5), 1], atol=0.005)
    assert not found["clipped"].any()


def same(a: Tally, b: Tally) -> bool:
    one, other = a.arrays(), b.arrays()
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def tiny_model() -> object:
    torch.manual_seed(0)
    return create_model("context-adaptive", 4, 6)


SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
from tamis.analysis.patches import Patches
from tamis.analysis.protocol import Protocol, measure
from tamis.analysis.sources import open_source
from tamis.learned.models import create_model
torch.manual_seed(0)
photos = tuple(Path(p) for p in sys.argv[2:])
protocol = Protocol(open_source(create_model("context-adaptive", 4, 6)), Patches(photos, 60, 128))
def die(done, total):
    if done == 40:
        os.kill(os.getpid(), signal.SIGKILL)
measure(protocol, Path(sys.argv[1]), progress=die, save_seconds=0.0)
"""


@pytest.mark.slow
def test_killed_and_resumed_and_divided_are_one(noise: list[Path], tmp_path: Path) -> None:
    protocol = Protocol(open_source(tiny_model()), Patches(tuple(noise), 60, 128))
    whole = measure(protocol)
    state = tmp_path / "state.npz"
    command = [sys.executable, "-c", SCRIPT, str(state), *map(str, noise)]
    assert subprocess.run(command, check=False).returncode == -9
    told: list[int] = []
    resumed = measure(protocol, state, progress=lambda done, total: told.append(done))
    assert told[0] == 32
    assert same(whole, resumed)
    assert same(whole, measure(protocol, state))
    assert same(whole, measure(protocol, workers=2))


def test_memory_does_not_grow_with_the_patches(noise: list[Path], tallied: Tallied) -> None:
    def draw(random: np.random.Generator) -> LatentSample:
        return LatentSample(as_tensor(random.standard_normal((3, 8, 8))))

    few, many = (tallied(draw, count).arrays() for count in (8, 160))
    assert {k: v.nbytes for k, v in few.items()} == {k: v.nbytes for k, v in many.items()}


def test_a_state_of_another_run_is_refused(noise: list[Path], tmp_path: Path) -> None:
    source = open_source(tiny_model())
    state = tmp_path / "state.npz"
    measure(Protocol(source, Patches(tuple(noise), 8, 128)), state)
    with pytest.raises(TamisError, match="other settings"):
        measure(Protocol(source, Patches(tuple(noise), 8, 128, seed=1)), state)
    state.write_bytes(b"nothing")
    with pytest.raises(TamisError, match="not the state"):
        measure(Protocol(source, Patches(tuple(noise), 8, 128)), state)


def test_a_source_that_cannot_be_sent_needs_one_worker(noise: list[Path]) -> None:
    source = source_of(lambda random: LatentSample(as_tensor(random.standard_normal((2, 8, 8)))))
    with pytest.raises(TamisError, match="use 1 worker"):
        measure(Protocol(source, Patches(tuple(noise), 32, 128)), workers=2)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.full((1, 2, 8, 8), torch.nan), "not finite"),
        (torch.zeros(1, 2, 8, 7), "expected .N, M, S, S."),
    ],
)
def test_latents_that_make_no_sense(noise: list[Path], y: torch.Tensor, message: str) -> None:
    protocol = Protocol(lambda images: LatentSample(y), Patches(tuple(noise), 1, 128))
    with pytest.raises(TamisError, match=message):
        measure(protocol)
