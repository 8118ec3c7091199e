"""``python -m sknet``: the command line."""

from sknet._cli.main import main

if __name__ == "__main__":
    main()
