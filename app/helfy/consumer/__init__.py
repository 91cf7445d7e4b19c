"""The consumer: every change in the Kafka topic becomes one line of JSON in the journal.

``decode`` reads a record, ``redact`` takes out what must not be seen, ``line`` writes it,
``pipeline`` joins the three; ``commits`` knows which lines are on disk, ``run`` is the loop.
"""
