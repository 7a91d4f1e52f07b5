"""Runs after they were made, as their folders keep them: listed, compared and exported."""
