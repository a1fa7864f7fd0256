"""Recognition via generation: from unit features of faces to scores and rates."""
