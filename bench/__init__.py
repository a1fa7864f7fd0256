"""Measurements of cost: this machine's ceilings, what rivals need, and what this package needs."""
