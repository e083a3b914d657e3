"""This package turns stored runs into estimates, intervals and comparisons."""
