"""The live feed: the topic's changes, newest first or after a cursor, for the API and the command.

``reader`` is the one thread of a process that follows the topic; it keeps the last lines in
``ring``, and ``pulse`` says how the stream is. ``pager`` reads what is older out of Kafka when
somebody asks.
``feed`` joins the two into pages, and ``cursor`` is where a page ends. A line is made by the
consumer's own code (``entry``), so the feed says what the journal says.
"""
