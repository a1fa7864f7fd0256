"""Light CNN."""
