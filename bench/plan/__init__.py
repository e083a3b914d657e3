"""This package decides what will be run: sweeps, claims, refusals, plans, screening."""
