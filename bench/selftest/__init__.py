"""Does the suite tell a known slow-down from none? And the programs behind results/method."""
