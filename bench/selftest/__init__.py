"""Does the suite tell a known slow-down from none? With what results/method needs."""
