"""Ways by which a report reaches people and programs: one file each."""
