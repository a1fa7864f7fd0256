"""One file for each way to tune a recogniser that the paper's tables name, or that a reader would ask for."""
