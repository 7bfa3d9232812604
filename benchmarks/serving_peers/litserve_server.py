"""LitServe with batching, as its documentation has it: decoding in decode_request, one worker."""

from typing import Any

import litserve
import network
import numpy as np
from fastapi import Request


class Classifier(litserve.LitAPI):
    """The network behind /predict.

    Args:
      weights: see `network.arguments`.
    """

    def __init__(self, weights: str):
        super().__init__(max_batch_size=32, batch_timeout=0.01)
        self.weights = weights

    def setup(self, device: str) -> None:
        """Opens the network in the worker."""
        self.run = network.open_network(self.weights)

    def decode_request(self, request: Request) -> np.ndarray:
        """One crop of one request."""
        return network.decode(request["image"].file.read())

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Probabilities of a batch, which LitServe has stacked."""
        return self.run(inputs)

    def encode_response(self, output: np.ndarray) -> dict[str, list[Any]]:
        """The answer to one request."""
        return network.answer(output)


if __name__ == "__main__":
    flags = network.arguments(__doc__)
    server = litserve.LitServer(Classifier(flags.weights), accelerator="cpu", workers_per_device=1)
    server.run(host=flags.host, port=flags.port, log_level="warning", generate_client_file=False)
