"""The libraries that people would use instead, a file each.

Each file has ``touch()``, which sets the library up with a tiny product, and ``make(workload)``, a Step of it: from the
common definition where the library shares PyTorch's names, in its own idiom where not. Nothing imports them but the
process that measures them.
"""
