"""From stored records to estimates, intervals and comparisons."""
