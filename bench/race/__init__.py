"""This package runs a race: only trials that could be the best get another round."""
