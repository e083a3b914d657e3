"""Feedrate: where preprocessing should run, and how the pipeline should be built."""
