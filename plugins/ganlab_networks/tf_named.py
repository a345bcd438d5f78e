"""Lets a network be asked for its weights under the TensorFlow program's names, without knowing this plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
from torch import nn


class TfNamed(nn.Module):
    """A network whose variables have names in the authors' TensorFlow program; see `ganlab_networks.tf_names`."""

    def load_tf_variables(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Load `{variable name: array}`. Raises `GanlabError` listing every name that does not fit."""
        from ganlab_networks.tf_names import load_tf_variables

        load_tf_variables(self, arrays)

    def tf_variables(self) -> dict[str, npt.NDArray[Any]]:
        """`{variable name: array}`. Raises `GanlabError` if that program has no such network."""
        from ganlab_networks.tf_names import tf_variables

        return tf_variables(self)
