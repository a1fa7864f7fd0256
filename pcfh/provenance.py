"""Where a picture comes from, as its metadata say it: pictures that no camera took."""

# What photo agencies and browsers look for: IPTC's digital source types of images made by a trained model,
# and of those made by a program that was not trained.
TRAINED = "trainedAlgorithmicMedia"
RENDERED = "algorithmicMedia"


def xmp(source: str) -> str:
    """The XMP packet that names the digital source type of a picture.

    Args:
        source: ``TRAINED`` or ``RENDERED``.
    """
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType='
        f'"http://cv.iptc.org/newscodes/digitalsourcetype/{source}"/></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="r"?>'
    )
