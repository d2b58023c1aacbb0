"""Our queue beside the disk's own limit and beside others: `python -m bench.queues`."""
