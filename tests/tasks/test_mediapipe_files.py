"""MediaPipe's networks: where they are looked for, and what is said when they are nowhere."""

import importlib.util
import zipfile
from pathlib import Path

import pytest

from tamis.errors import TamisError
from tamis.tasks import mediapipe_files
from tamis.tasks.mediapipe_files import NETWORKS, SELFIE_SEGMENTATION, cache_folder, network_path


@pytest.fixture(scope="module")
def network() -> Path:
    """The smallest real network, as this machine has it or pip fetches it."""
    try:
        return network_path(SELFIE_SEGMENTATION)
    except TamisError as error:
        pytest.skip(str(error))


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no folder of weights, and no index to fetch from."""
    if importlib.util.find_spec("mediapipe"):
        pytest.skip("mediapipe is installed here, so its networks are always found")
    monkeypatch.delenv("TAMIS_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


def test_a_folder_of_weights_comes_first(
    network: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = nowhere / "weights"
    folder.mkdir()
    copy = folder / network.name
    copy.write_bytes(network.read_bytes())
    monkeypatch.setenv("TAMIS_WEIGHTS", str(folder))
    assert network_path(SELFIE_SEGMENTATION) == copy


def test_another_file_of_that_name_is_refused(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAMIS_WEIGHTS", str(nowhere))
    (nowhere / SELFIE_SEGMENTATION.name).write_bytes(b"another network")
    with pytest.raises(TamisError, match=r"selfie_segmentation\.tflite .*SHA-256 differs"):
        network_path(SELFIE_SEGMENTATION)


def test_a_whole_file_in_the_cache_is_used_and_half_a_file_is_not(
    network: Path, nowhere: Path
) -> None:
    cached = cache_folder() / network.name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(network.read_bytes())
    assert network_path(SELFIE_SEGMENTATION) == cached
    cached.write_bytes(network.read_bytes()[:1000])
    with pytest.raises(TamisError, match="pip cannot fetch"):
        network_path(SELFIE_SEGMENTATION)


def test_offline_one_line_names_the_files_and_the_places(nowhere: Path) -> None:
    with pytest.raises(TamisError) as caught:
        network_path(SELFIE_SEGMENTATION)
    line = str(caught.value)
    assert "\n" not in line
    assert "mediapipe==0.10.21" in line and "TAMIS_WEIGHTS" in line
    assert str(cache_folder()) in line
    assert all(known.name in line for known in NETWORKS)


def test_a_wheel_with_other_networks_is_refused(nowhere: Path) -> None:
    wheel = nowhere / "mediapipe-0.10.21-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for known in NETWORKS:
            archive.writestr(known.member, b"not what was published")
    with pytest.raises(TamisError, match="is not the published file"):
        mediapipe_files._unpack(wheel)
    assert not cache_folder().exists()
