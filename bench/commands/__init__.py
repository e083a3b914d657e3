"""Each module here has the options and the main function of a verb."""
