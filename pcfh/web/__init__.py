"""The web page behind ``pcfh serve``: a face translated, compared and searched for, and whole batches.

    page/        HTML, style, script and rendered sample faces; it loads nothing from elsewhere
    openapi.py   what can be asked for, and the document of it
    app.py       requests in, JSON and pictures out
    answers.py   what the JSON holds
    guard.py     who may ask: Host and Origin checks, security headers
    uploads.py   bodies and names from outside, bounded
    decode.py    uploaded bytes to pixels
    responses.py what is kept and shown of a photograph
    matching.py  whom a face is like, above or below a threshold
    engine.py    landmarks, generator and recogniser together
    worker.py    one thread computes, a bounded number of requests wait
    sessions.py  what a visitor left, in memory, until it expires
    archive.py   a batch as a zip file
    limits.py    how much of everything
    serving.py   the process and its connections

Of these ``decode``, ``engine`` and ``limits`` do without the extra ``web``.
"""
