"""The programs here test this suite, above all whether it detects slow-downs."""

from bench.shell import ROOT

RESULTS = ROOT / "results" / "method"  # the folder of their results
