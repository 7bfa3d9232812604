"""Whether differences are more than chance."""

import numpy as np

SIGNIFICANT = 0.05


def holm(p_values: np.ndarray | list[float]) -> np.ndarray:
    """P values corrected for their number by Holm's procedure (1979), which holds whatever depends on what.

    Args:
      p_values: (m,) floats, 0..1.

    Returns:
      (m,) float64 array, 0..1: those below a level are rejected at that level, all taken together.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected
