"""The mirror of a run in MLflow. Nothing outside this package imports mlflow, and `client` only when it is used."""

from ganlab.track.mlflow.mirror import Mirror

__all__ = ["Mirror"]
