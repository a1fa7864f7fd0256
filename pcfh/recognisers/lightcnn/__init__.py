"""Light CNN-9, -29 and -29v2: networks, files of weights, and the recogniser."""

from pcfh.recognisers.lightcnn.recogniser import LightCNNRecognizer

RECOGNISER = LightCNNRecognizer
