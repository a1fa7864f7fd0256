"""Tuning of a recogniser to NIR and VIS faces: what the rivals in ``pcfh.recognisers.rivals`` share."""
