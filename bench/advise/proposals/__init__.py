"""The shelf of proposals: a file each, whose name registers it.

A file has `propose(chain)`, which yields a `Proposal` for each place where its change
might help. A proposal that its rule forbids is yielded with the reason. Whatever the
rule allows must still pass the gate, which compares the examples, before it is timed.
"""
