"""Which trials still deserve a round."""
