"""Warping, alignment and facial parts: pure functions on tensors and arrays."""
