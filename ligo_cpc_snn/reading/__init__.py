"""Files that may come from anybody: looked at before they are read, and never run."""
