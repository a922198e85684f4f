"""iCalendar: sessions in an ``.ics`` file, or at an address that gives one."""
