"""The parent's side of runs: rounds, executors, protocol, turns and progress."""
