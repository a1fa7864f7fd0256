"""The paper's tables with our numbers beside them."""
