"""``helfy``: the command on a VM of the API, for whoever is root there.

It does by the API's own code what the API does, without a session: who may read the API's
settings and credentials may do anything anyway. Each change is logged in the journal as the
API's would be (``journalctl -t helfy``).
"""
