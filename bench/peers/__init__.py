"""The libraries that people would use instead, a file each.

Each file has ``touch()``, which takes a tiny step, so that the library has loaded what it loads late, and
``make(workload)``, a Step of a workload: from the common definition where the library shares PyTorch's names, in its
own idiom where not. Nothing imports them but the process that measures them.
"""
