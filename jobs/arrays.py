"""Types of the arrays that pass between modules."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
