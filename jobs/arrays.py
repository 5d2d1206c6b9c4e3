"""Types of arrays shared by modules."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
