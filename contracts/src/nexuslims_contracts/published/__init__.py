"""The published forms of the contracts: JSON Schema, AsyncAPI, and pages for people.

``make contracts`` writes them, ``contracts/published`` and ``docs`` hold them, and a test compares
them with the models. Services need none of this.
"""
