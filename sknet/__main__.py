"""The entry point of ``python -m sknet``."""

from sknet._cli.ending import end_quietly
from sknet._cli.main import main

if __name__ == "__main__":
    end_quietly(main)
