"""The guard answers one question: is head slower than base?"""
