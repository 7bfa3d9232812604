"""BentoML with adaptive batching, started through its own command line."""

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
import network
import numpy as np
from PIL import Image


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Classifier:
    """The network behind /predict; BentoML makes it in its worker process."""

    def __init__(self) -> None:
        self.run = network.open_network(os.environ["SERVING_WEIGHTS"])

    @bentoml.api(batchable=True, max_batch_size=32)
    def predict(self, image: list[Image.Image]) -> list[dict[str, list[Any]]]:
        """The answers to the requests that BentoML put together."""
        crops = np.stack([network.crop(each) for each in image])
        return [network.answer(row) for row in self.run(crops)]


if __name__ == "__main__":
    flags = network.arguments(__doc__)
    os.environ |= {"SERVING_WEIGHTS": flags.weights, "BENTOML_DO_NOT_TRACK": "true"}
    place = ["--working-dir", str(Path(__file__).parent), "--host", flags.host, "--port", str(flags.port)]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", "bentoml_server:Classifier", *place])
