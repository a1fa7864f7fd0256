"""From raw database folders to the paper's tables with our numbers beside the paper's."""
