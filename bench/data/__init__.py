"""What is measured on: made inputs, the user's own data, and what identifies both."""
