"""This package starts and controls the processes that measure, from their parent."""
