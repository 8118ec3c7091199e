"""The compiled engine: the only folder that knows Numba."""
