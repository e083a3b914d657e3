"""The programs here test the suite itself, above all whether it detects slow-downs."""

from bench.shell import ROOT

RESULTS = ROOT / "results" / "method"  # the folder of their results
