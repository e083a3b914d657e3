"""Programs that test the suite itself: does it tell a slow-down from none?"""

from bench.shell import ROOT

RESULTS = ROOT / "results" / "method"  # where these programs write what they found
