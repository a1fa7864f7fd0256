"""From scores to figures, intervals and reports."""
