"""Opens what `googlenet export` wrote."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from googlenet_jax.classifier import Classifier
from googlenet_jax.config import from_json
from googlenet_jax.config.choices import RUNTIMES
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.errors import UserError, reason, where
from googlenet_jax.exported.description import Description
from googlenet_jax.system.storage import fetch, is_url

Run = Callable[[np.ndarray], Sequence[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class ExportedNet(Classifier):
    """An exported network in its runtime.

    Attributes:
      path: of the file or directory.
      description: what travels in it.
      run: from (n, s, s, 3) images, uint8 crops or normalised floats as the description says, to the outputs (n,
        classes): the main head's, and the auxiliary ones' if it has them.
      runtime: name of it.
    """

    path: str
    description: Description
    run: Run
    runtime: str

    @property
    def labels(self) -> list[str]:  # type: ignore[override]
        """Class names by index."""
        return self.description.labels

    @property
    def preprocess(self) -> Preprocess:  # type: ignore[override]
        """From pictures to crops."""
        return self.description.preprocess

    @functools.cached_property
    def config(self) -> ml_collections.ConfigDict:
        """That the network was trained with."""
        return from_json(self.description.config)

    @property
    def step(self) -> int:
        """Training steps behind it."""
        return self.description.step

    def outputs(self, crops: np.ndarray) -> list[np.ndarray]:
        """All outputs as the file gives them, float32; crops as for `classify`.

        Raises:
          UserError: if the file does not run, or gives something else than its description says.
        """
        images = crops if self.description.input == "uint8" else np.asarray(self._normalize(crops))
        size = self.description.batch or len(images)
        whole = np.concatenate([images, np.repeat(images[:1], -len(images) % size, 0)])
        try:
            parts = [self.run(whole[i : i + size]) for i in range(0, len(whole), size)]
        except Exception as error:  # a runtime's own, of any kind
            raise UserError(f"{where(self.path)} does not run on what its description says: {reason(error)}") from None
        shape = size, len(self.labels)
        if any(not part or any(np.shape(output) != shape for output in part) for part in parts):
            raise UserError(f"{where(self.path)} gives other outputs than its description says")
        return [np.concatenate(each)[: len(images)].astype(np.float32) for each in zip(*parts, strict=True)]

    def classify(self, crops: np.ndarray) -> np.ndarray:
        """See `Classifier.classify`."""
        main = self.outputs(crops)[0]
        return main if self.description.output == "probabilities" else np.asarray(jax.nn.softmax(main))

    @functools.cached_property
    def _normalize(self) -> Any:
        return jax.jit(self.preprocess.normalize)


Weights = tuple[Description, dict[str, Any]]


def open_exported(path: str | Path, kind: str | None = None) -> ExportedNet | Weights | None:
    """Opens an exported file or directory.

    Args:
      path: of it; also a URL of a file in a bucket, which is copied to this machine once.
      kind: key of `RUNTIMES`; None: by its name, for a directory by what lies in it.

    Returns:
      The network; of a file of weights its description and variables; None if the path is none of an exported file.

    Raises:
      UserError: if the file is damaged or not one of this project's, or its runtime is not installed.
    """
    place = Path(path)
    if kind is None:
        kind = next((name for name, row in RUNTIMES.items() if _is_like(place, row.suffix)), None)
        if kind is None:
            return None
    if is_url(path):
        place = fetch(str(path))
    if not place.exists():
        raise UserError(f"{where(path)}: there is no such file")
    try:
        description, run = RUNTIMES[kind].load()(place)
    except UserError:
        raise
    except Exception as error:  # a runtime's own, of any kind, about a file that it cannot read
        raise UserError(f"{where(path)} is no {kind} file of googlenet export, or damaged: {reason(error)}") from None
    return ExportedNet(str(path), description, run, RUNTIMES[kind].name) if callable(run) else (description, run)


def _is_like(path: Path, suffix: str) -> bool:
    return (path / suffix).is_file() if suffix == "saved_model.pb" else path.name.endswith(suffix)


def missing(package: str, extra: str, kind: str) -> UserError:
    """The mistake of a runtime that is not installed."""
    return UserError(f"{kind} files are run with {package}: pip install 'googlenet-jax[{extra}]'")
