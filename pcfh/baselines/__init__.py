"""The methods that the paper compares itself with, one file each, trained by the same loop."""
