"""``python -m pcfh``, for torchrun."""

from pcfh.cli import main

if __name__ == "__main__":
    main()
