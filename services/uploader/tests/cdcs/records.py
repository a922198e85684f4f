"""Records of one session, and how often a request is sent."""

from nexuslims_uploader.testing import record_to_upload, small_record_xml

ONE, TWO = (record_to_upload(small_record_xml(title)) for title in ("One", "Two"))
TITLE = ONE.artifact.stem
THEIRS = small_record_xml("By another tool", session="").decode()
"""A record of the same entry in the calendar that we did not make."""

ATTEMPTS = {False: 3, True: 1}
"""How often a request is sent: what makes a record, or ends in silence, once."""
