"""Runs shown by trackers of experiments; none of them is imported unless it is asked for."""
