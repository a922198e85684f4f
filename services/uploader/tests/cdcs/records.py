"""Two records of one session, and how often a request is sent."""

from nexuslims_uploader.testing import record_to_upload, small_record_xml

ONE, TWO = (record_to_upload(small_record_xml(title)) for title in ("One", "Two"))

ATTEMPTS = {False: 3, True: 1}
"""How often a request is sent: what makes a record, or ends in silence, once."""
