"""Types in which activations are stored. Imports no numpy, so that reading a spec stays quick."""

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Dtype = Literal["float32", "float16"]


def as_dtype(
    layer: str, values: "npt.NDArray[np.float32]", dtype: Dtype
) -> "npt.NDArray[np.floating[Any]]":
    """Convert ``values`` for storage; half precision has a relative error of about 2e-4.

    Values that are not finite stay as they are.

    Args:
        layer: name of their layer, for messages.
        values: of any shape.
        dtype: type to store.

    Raises:
        OverflowError: a finite value is out of the range of half precision.
    """
    import numpy as np

    if dtype == "float32":
        return values
    with np.errstate(over="ignore"):
        stored = values.astype(np.float16)
    if np.any(np.isinf(stored) & np.isfinite(values)):
        largest = np.max(np.abs(values), where=np.isfinite(values), initial=0)
        raise OverflowError(
            f"layer {layer!r} reaches {largest:.4g}, beyond the ±65504 of float16; "
            "store this model with dtype float32"
        )
    return stored
