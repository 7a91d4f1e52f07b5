"""The Flower client application."""
