"""Workers that share no disk with the submitter: what a run needs goes to them, what it writes comes back.

::

    shipment.py   one attempt: send, follow, conclude          (in the submitter's agent)
    freight.py    what a run needs there                             "
    outbox.py     sends it, each file once a host                    "
    mirror.py     copies the attempt as it grows                     "
    carrier.py    fetches checkpoints and artifacts                  "
    port.py       one question to one worker                         "
    dock.py       answers                                      (in the Dask worker)
    blobs.py      files by digest                                    "

Everything is asked for by the submitter and goes through the Dask scheduler, so that neither side
needs an open port of ours. A break of the link only delays.
"""
