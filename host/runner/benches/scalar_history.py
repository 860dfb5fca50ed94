"""Nanoseconds that MMEngine's message hub takes to add a value, at the lengths of history given as arguments."""
import statistics
import sys
import time

from mmengine.logging import MessageHub

hub = MessageHub.get_instance('bench')
hub.update_scalar('train/loss', 0.0)
figures = []
for length in map(int, sys.argv[1:]):
    # Filled in one go: adding half a million values one by one takes minutes.
    buffer = hub.get_scalar('train/loss')
    buffer._log_history = __import__('numpy').arange(length, dtype=float)
    buffer._count_history = __import__('numpy').ones(length)
    times = []
    for value in range(30):
        begin = time.perf_counter_ns()
        hub.update_scalar('train/loss', float(value))
        times.append(time.perf_counter_ns() - begin)
    figures.append(statistics.median(times))
print(*figures)
