"""Databases: one file per layout, found by itself."""
