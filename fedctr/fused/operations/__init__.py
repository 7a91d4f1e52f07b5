"""What the operations of a plan do, forward and backward, a file for each family.

Backward, an operation adds to the gradients of what it read, which begin at zero, and moves the parameters that it
read: the gradient times ``device.scale`` is added to ``device.moved``, which may be the weights themselves. Each
parameter is read by one operation or is a table, whose old values backward does not need.

A new one has a number and its columns in :mod:`fedctr.fused.plan`, its two functions in a file here, and a line in
each pass of :mod:`fedctr.fused.passes`; :mod:`fedctr.fused.recording` says where a model does it.
"""
