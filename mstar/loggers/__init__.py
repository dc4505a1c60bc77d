"""Where metrics are logged without a service: beside TensorBoard's files, a table."""

from mstar.loggers.metrics_csv import MetricsCsv

__all__ = ["MetricsCsv"]
