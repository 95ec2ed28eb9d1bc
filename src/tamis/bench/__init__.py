"""Rate against what the machine still sees: sweeps, BD-rate with intervals, reports."""

from tamis.bench.bd import BdRate, CurveError, bd_rate
from tamis.bench.curves import mean_curves
from tamis.bench.plan import Plan
from tamis.bench.results import Results
from tamis.bench.run import bench
from tamis.bench.store import RunFolder, load
from tamis.bench.sweep import run_sweep
from tamis.bench.table import bd_rate_table

__all__ = [
    "BdRate",
    "CurveError",
    "Plan",
    "Results",
    "RunFolder",
    "bd_rate",
    "bd_rate_table",
    "bench",
    "load",
    "mean_curves",
    "run_sweep",
]
