"""Training of a Light CNN."""
