"""GoogLeNet in JAX: `load` a network to use it; `launch.py` trains one."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from googlenet_jax.net import Net, Prediction, load

__all__ = ["Net", "Prediction", "load"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


def __getattr__(name: str) -> Any:
    # On first use, so that `import googlenet_jax` and `--help` do not wait for JAX.
    if name in __all__:
        from googlenet_jax import net

        return getattr(net, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
