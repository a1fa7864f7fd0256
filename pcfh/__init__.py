"""Pose-preserving cross-spectral face hallucination: near-infrared faces to visible-light faces."""

__version__ = "0.1.0"
