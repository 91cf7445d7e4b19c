"""The consumer: every change in the Kafka topic becomes one line of JSON in the journal.

``decode`` reads a record, ``redact`` takes out what must not be seen, ``line`` writes it,
``pipeline`` joins the three; ``recorder`` writes lines, with ``commits`` that knows which are on
disk and ``replay`` that knows which were written before. ``run`` is the loop of one process,
``supervise`` keeps several of them, ``source`` and ``rebalance`` are Kafka.
"""
