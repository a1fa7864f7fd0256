"""Databases: records, readers, preparation and training pairs."""
