"""On-device personalisation of click-through-rate models, simulated on Flower."""
