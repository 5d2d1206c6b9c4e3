"""Parts of a corpus that are balanced in the classes of a target and in size, with whole groups.

Legend: U utterances, k parts, C classes.
"""

import numpy as np
import numpy.typing as npt

_DIGITS = 9
"""Decimal places of costs in comparisons, so that ties do not depend on the order of summation."""


def balanced_parts(
    groups: npt.NDArray[np.str_], classes: npt.NDArray[np.str_], k: int
) -> list[npt.NDArray[np.int64]]:
    """Divide utterances into ``k`` parts, keeping the members of a group together.

    Groups, the largest first and equally large ones by name, each go to the part f that least adds
    to Σ_f (n_f² / U + Σ_c n_fc² / U_c), where n_f counts the part's utterances, n_fc those of class
    c, and U_c all utterances of class c. Each of these sums is least when all parts are equal.

    Args:
        groups: (U,) group of each utterance; at least ``k`` different ones.
        classes: (U,) class of each utterance; those without one count as a class.
        k: number of parts.

    Returns:
        Ascending positions of each part's utterances.
    """
    names, group = np.unique(groups, return_inverse=True)
    _, code, n_of_class = np.unique(classes, return_inverse=True, return_counts=True)
    sizes = np.bincount(group)
    pairs, counts = np.unique(group * len(n_of_class) + code, return_counts=True)
    ends = np.searchsorted(pairs // len(n_of_class), np.arange(len(names) + 1))
    in_part, part_size = np.zeros((k, len(n_of_class))), np.zeros(k)
    part_of_group = np.empty(len(names), dtype=np.int64)
    for number in np.argsort(-sizes, kind="stable"):
        own = slice(ends[number], ends[number + 1])
        of_class, n = pairs[own] % len(n_of_class), counts[own]
        added = part_size * (sizes[number] / len(groups))
        added += (in_part[:, of_class] * (n / n_of_class[of_class])).sum(axis=1)
        chosen = int(np.argmin(added.round(_DIGITS)))
        in_part[chosen, of_class] += n
        part_size[chosen] += sizes[number]
        part_of_group[number] = chosen
    return [np.flatnonzero(part_of_group[group] == part) for part in range(k)]
