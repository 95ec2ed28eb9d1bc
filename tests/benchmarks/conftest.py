"""Benchmarks are scripts in a folder of their own; tests import them as their siblings do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
