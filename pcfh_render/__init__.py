"""Faces in four bands from physics: lights and sensors, skin, and the other materials of a face.

Reflectances are linear, in [0, 1], with the bands (R, G, B, NIR) on the last axis.
"""
