"""Any ``torch.nn.Module`` that a function of the user's returns.

Layers are named by their dotted module path, in the order in which they first finish. Which axis of
a layer's output is time is found by running inputs of two lengths, unless it is declared.

The id of the activations covers the weights, the function's name and arguments, and the text of the
file that defines it, but not other files that this one imports.
"""
