"""The dashboards, one a file: which questions each answers, in which order."""
