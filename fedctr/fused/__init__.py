"""The compiled engine: all steps of one user in machine code, while its weights are in the processor's cache."""
