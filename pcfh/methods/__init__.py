"""Methods that turn a NIR face into a VIS face: one file or folder each."""
