"""The verbs of the command line: the options and the main function of each."""
