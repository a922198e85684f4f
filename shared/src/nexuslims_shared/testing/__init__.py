"""How every adapter of a port behaves: suites of tests that each adapter's tests inherit.

Not imported by the product; published so that another adapter can be held against them. Events for
tests are in :mod:`nexuslims_contracts.testing`.
"""
