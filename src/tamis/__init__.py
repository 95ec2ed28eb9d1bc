"""Tamis: compress images for machines with the encoders people already run."""

__version__ = "0.1.0"
