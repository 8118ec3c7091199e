"""The command line, ``python -m sknet``."""
