"""Files of Gatan DigitalMicrograph: DM3, DM4 and DM5."""
