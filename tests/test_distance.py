import torch

from fedctr.distance import squared_distance


def test_by_hand_of_two_users() -> None:
    parameters = {"bias": torch.tensor([1.0, 2.0]), "weight": torch.tensor([[[1.0, 2.0]], [[0.0, 5.0]]])}
    origin = {"bias": torch.zeros(2), "weight": torch.ones(2, 1, 2), "other": torch.ones(2)}
    assert squared_distance(parameters, origin).tolist() == [1 + 0 + 1, 4 + 1 + 16]
