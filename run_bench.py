#!/usr/bin/env python3
"""Measure where preprocessing should run and how the input pipeline should be built."""

import sys

from bench.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
