"""`python -m ganlab`, the same as `ganlab`; it is what `torchrun -m ganlab` starts."""

from ganlab.cli import main

if __name__ == "__main__":
    main()
