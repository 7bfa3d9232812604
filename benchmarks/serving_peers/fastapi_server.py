"""Plain FastAPI: an endpoint in its thread pool that decodes and runs one image."""

from typing import Annotated, Any

import network
import uvicorn
from fastapi import FastAPI, File

flags = network.arguments(__doc__)
run = network.open_network(flags.weights)
app = FastAPI()


@app.get("/health")
def health() -> str:
    """That it listens."""
    return "ok"


@app.post("/predict")
def predict(image: Annotated[bytes, File()]) -> dict[str, list[Any]]:
    """The answer to one request."""
    return network.answer(run(network.decode(image)[None])[0])


if __name__ == "__main__":
    uvicorn.run(app, host=flags.host, port=flags.port, log_level="warning")
