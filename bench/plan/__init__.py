"""What will be run: sweeps, claims, refused combinations, the plan, screening."""
