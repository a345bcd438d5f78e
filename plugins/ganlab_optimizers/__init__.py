"""Optimizers: how a player's parameters follow its gradients. The parameter classes here import no torch."""

import ganlab


@ganlab.hookimpl
def register_optimizers(register: ganlab.Register) -> None:
    """Offer the optimizers of this package."""
    register("adam", "ganlab_optimizers.adam:Adam", summary="Adam (Kingma & Ba 2015), epsilon placed as by the authors")
    register("sgd", "ganlab_optimizers.simple:Sgd", summary="gradient descent with momentum")
    register(
        "rmsprop", "ganlab_optimizers.simple:RmsProp", summary="gradients over their root mean square (Hinton 2012)"
    )
