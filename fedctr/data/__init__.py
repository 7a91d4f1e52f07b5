"""Data sets: loaders, the one in-memory form, and how samples are split over time and clients."""
