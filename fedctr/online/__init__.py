"""The online experiment: a simulated A/B test of what devices do."""
