"""This package has a module for each command, with its options and main function."""
