"""Learned codecs: images compressed end to end, with real bitstreams. Needs the `lab` extra."""
