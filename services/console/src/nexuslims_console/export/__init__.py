"""A session to take home: an ``.eln`` file (a zipped, signed RO-Crate), or a plain zip."""
