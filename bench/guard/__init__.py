"""Is head slower than base?"""
