"""Benchmarks: each module measures one thing beside its floor, in the same run; `python -m bench` runs them all."""
