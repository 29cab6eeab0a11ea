"""How fast training is, beside a plain PyTorch loop and pythae: the same as ``aae bench``.

python benchmarks/throughput.py --quick            # a table, within a minute on two cores
python benchmarks/throughput.py --json             # all figures, some minutes
"""

import sys

from aae.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["bench", *sys.argv[1:]]))
