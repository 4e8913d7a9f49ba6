"""Values that know their unit: clock, ids, secrets, content."""
