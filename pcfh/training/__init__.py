"""Who updates whom, in which order, on how many processes, and how it is kept."""
