"""Who is enrolled: features of faces by person in a store that searches them.

    gallery = pcfh.Gallery.open("people.db")                    # an embedded Milvus in a folder
    gallery = pcfh.Gallery.open("http://milvus.example:19530")  # a server or a cluster, the same calls

``store`` is the gallery itself, ``calibration`` finds thresholds, ``photographs`` turns pictures into
features, ``exchange`` writes and reads Parquet files.
"""
