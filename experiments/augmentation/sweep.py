"""How training images are changed: not at all, crops and flips, and more."""

from collections.abc import Iterator

CROPS: dict[str, object] = {"augment.crop": "resized", "augment.flip": True}
PLAIN: dict[str, object] = {"augment.crop": "none", "augment.flip": False}
COLOUR: dict[str, object] = {"augment.brightness": 0.4, "augment.contrast": 0.4, "augment.saturation": 0.4}
NO_COLOUR: dict[str, object] = dict.fromkeys(COLOUR, 0.0)
MIXING: dict[str, object] = {"augment.mixup": 0.2, "augment.cutmix": 1.0}
NO_MIXING: dict[str, object] = dict.fromkeys(MIXING, 0.0)


def sweep() -> Iterator[dict[str, object]]:
    """None; crops and flips; with colour; with mixup or cutmix; with TrivialAugment."""
    plain, trivial = {"augment.policy": "none"}, {"augment.policy": "trivial"}
    yield PLAIN | NO_COLOUR | NO_MIXING | plain
    yield CROPS | NO_COLOUR | NO_MIXING | plain
    yield CROPS | COLOUR | NO_MIXING | plain
    yield CROPS | NO_COLOUR | MIXING | plain
    yield CROPS | NO_COLOUR | NO_MIXING | trivial


def sweep_seeds() -> Iterator[dict[str, object]]:
    """Each with three seeds."""
    for seed in range(3):
        yield {"seed": seed}
