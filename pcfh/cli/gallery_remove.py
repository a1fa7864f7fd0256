"""The command that removes people."""

import getpass

from pcfh.cli.gallery_options import open_gallery


def gallery_remove(gallery: str, *people: str, by: str | None = None, collection: str = "faces") -> int:
    """Remove people so that nothing of their faces remains; the name, when and by whom is written down.

    An embedded gallery is written anew without them, which takes as long as enrolling the features of
    everybody else; name several people at once.

    Args:
        gallery: path of an embedded gallery, or address of a Milvus server.
        people: all of them are removed, or none.
        by: who removes them; the user of this machine if not given.
        collection: name of the gallery in its store.
    """
    with open_gallery(gallery, collection) as opened:
        for removal in opened.remove(people, by or getpass.getuser()):
            print(f"{removal.person}: removed, {removal.faces} photographs")
    return 0
