"""The networks of the paper and its recogniser."""
