"""What travels with an exported network: class names, preprocessing, where it comes from."""

import dataclasses
import json

from googlenet_jax.data.preprocess import Preprocess

KEY = "googlenet_jax"  # under which a file that holds text by key has the description
FILE = "description.json"  # that an archive or directory has it in
MOST_PIXELS = 1 << 28  # of one call's images, where their number is fixed


@dataclasses.dataclass(frozen=True)
class Description:
    """Of an exported network.

    Attributes:
      labels: class names by index.
      preprocess: from a picture to what the file takes.
      family: key of `FAMILIES`.
      config: that the network was trained with, as JSON has it.
      step: training steps behind it.
      source: the checkpoint that it was made from.
      weights: SHA-256 of the network's variables, see `export.target.fingerprint`.
      input: "uint8", RGB crops (n, s, s, 3), or "float", the same normalised in the network's channel order.
      output: "probabilities" or "logits".
      precision: "float32", "float16" or "int8".
      batch: images a call; None: any number.
      aux: whether the auxiliary heads' outputs follow the main one.
    """

    labels: list[str]
    preprocess: Preprocess
    family: str
    config: str
    step: int
    source: str
    weights: str
    input: str = "uint8"
    output: str = "probabilities"
    precision: str = "float32"
    batch: int | None = None
    aux: bool = False

    def output_names(self, count: int) -> list[str]:
        """What so many outputs are called: "probabilities" or "logits", the auxiliary heads' with a number."""
        return [self.output, *(f"{self.output}_{i}" for i in range(1, count))]

    def to_json(self) -> str:
        """As one text."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps(fields | {"preprocess": self.preprocess.to_dict()})

    @classmethod
    def from_json(cls, text: str | bytes) -> "Description":
        """From what `to_json` gave; raises ValueError for anything else."""
        try:
            stored = json.loads(text)
            stored["preprocess"] = Preprocess.from_dict(stored["preprocess"])
            described = cls(**stored)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"a description that makes no sense ({error})") from None
        fitting = (
            isinstance(described.labels, list)
            and all(isinstance(label, str) for label in described.labels)
            and all(isinstance(text, str) for text in (described.family, described.config, described.source))
            and type(described.step) is int
            and described.input in ("uint8", "float")
            and described.output in ("probabilities", "logits")
            and (described.batch is None or type(described.batch) is int)
            and (described.batch is None or 0 < described.batch * described.preprocess.image_size**2 <= MOST_PIXELS)
        )
        if not fitting:
            raise ValueError("a description that makes no sense")
        return described
