"""Federated training: the global model by rounds of local steps at the clients."""
