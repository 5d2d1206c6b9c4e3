"""Draw the weights of any network again, for its untrained twin."""

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from jobs.models.errors import ModelError

_BY_AN_ARGUMENT = "let the function make an untrained network by an argument instead"


def redraw_weights(network: nn.Module) -> None:
    """Draw every parameter by its module's ``reset_parameters``, and reset running statistics.

    Raises:
        ModelError: a module with parameters has no such method, derives them from others, or its
            method leaves some of them unchanged.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(torch.nan)  # marks what no method draws
    # Children first, since a module may initialise its children's parameters in its own way.
    for path, module in reversed(list(network.named_modules())):
        reset_statistics = getattr(module, "reset_running_stats", None)
        if reset_statistics is not None:
            reset_statistics()
        reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
        parametrized = isinstance(module, ParametrizationList) or is_parametrized(module)
        if next(module.parameters(recurse=False), None) is None and not parametrized:
            continue
        if reset is None or parametrized:
            raise ModelError(
                f"untrained: the module {path!r} ({type(module).__name__}) cannot draw its "
                f"parameters again: expected a method reset_parameters; {_BY_AN_ARGUMENT}"
            )
        reset()
    kept = [name for name, parameter in network.named_parameters() if parameter.isnan().any()]
    if kept:
        raise ModelError(
            f"untrained: {len(kept)} parameters are not drawn again by their modules' "
            f"reset_parameters ({', '.join(kept[:3])}); {_BY_AN_ARGUMENT}"
        )
