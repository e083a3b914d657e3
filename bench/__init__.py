"""Feedrate measures where preprocessing should run and how to build the pipeline."""
