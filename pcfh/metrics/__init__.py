"""How good results are: images against their truth, recognition against identities, and how sure that is."""
