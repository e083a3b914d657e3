"""This room provides the inputs of trials: generated inputs and the user's own data."""
