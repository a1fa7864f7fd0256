"""From captures to aligned crops and training pairs."""
